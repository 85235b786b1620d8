-- AlterTable
ALTER TABLE "orders" ADD COLUMN "cod_fee_cents" BIGINT NOT NULL DEFAULT 0;

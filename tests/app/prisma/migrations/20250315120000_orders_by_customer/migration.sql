-- AlterTable: versions before v1.1.0 neither read nor write it
ALTER TABLE "orders" ADD COLUMN "status" VARCHAR(20) NOT NULL DEFAULT 'placed';

-- CreateIndex
CREATE INDEX "orders_customer_idx" ON "orders"("customer");

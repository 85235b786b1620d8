-- The first statement works, the second can't: nothing of either may stay.
ALTER TABLE "orders" ADD COLUMN "region" VARCHAR(20);

ALTER TABLE "orders" ADD COLUMN "customer" INTEGER;

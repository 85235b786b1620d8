#!/usr/bin/env python3
"""Writes COUNT generated Prisma migrations into FOLDER.

    generate.py FOLDER COUNT mix|tables

`mix` has what real ones have, counted in 434 migrations of one application (Langfuse, over three years): to 100 of them 20 new tables,
64 indexes, 105 ALTER TABLE (37 with a foreign key), 10 enums and 8 changes of one, 13 INSERTs, 23 DROPs; 2.5 statements each. A third of that
application's indexes are built CONCURRENTLY: not here, as one psql session with a transaction for each file couldn't take them.
`tables`: every migration makes an enum and a table with three indexes, changes it twice and refers to the table before; functions with $$
and rows in some. The most work that the server can have with a migration of that length.
"""
import os
import sys


def whole(i):
    sql = [f'CREATE TYPE "Kind{i}" AS ENUM (\'A\', \'B\', \'C\');',
           f'CREATE TABLE "Thing{i}" (\n    "id" SERIAL PRIMARY KEY,\n    "name" TEXT NOT NULL,\n    "kind" "Kind{i}" NOT NULL DEFAULT \'A\',\n    "price" NUMERIC(12,2),\n    "createdAt" TIMESTAMPTZ NOT NULL DEFAULT now()\n);',
           f'CREATE UNIQUE INDEX "Thing{i}_name_key" ON "Thing{i}"("name");',
           f'CREATE INDEX "Thing{i}_kind_idx" ON "Thing{i}"("kind", "createdAt");',
           f'ALTER TABLE "Thing{i}" ADD CONSTRAINT "Thing{i}_price_check" CHECK ("price" >= 0);',
           f'COMMENT ON TABLE "Thing{i}" IS \'number {i}; generated\';']
    if i:
        sql += [f'ALTER TABLE "Thing{i}" ADD COLUMN "previousId" INTEGER;',
                f'ALTER TABLE "Thing{i}" ADD CONSTRAINT "Thing{i}_previousId_fkey" FOREIGN KEY ("previousId") REFERENCES "Thing{i-1}"("id") ON DELETE SET NULL;']
    if i % 3 == 0:
        sql.append(function(i, i))
    if i % 5 == 0:
        sql.append(rows(i))
    return sql


def function(i, table):
    return (f'CREATE FUNCTION touch{i}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n  NEW."createdAt" := now(); -- ;\n  RETURN NEW;\nEND;\n$$;\n'
            f'CREATE TRIGGER touch{i} BEFORE UPDATE ON "Thing{table}" FOR EACH ROW EXECUTE FUNCTION touch{i}();')


def rows(table):
    return f'INSERT INTO "Thing{table}"("name", "price") SELECT \'n\' || g, g FROM generate_series(1, 20) g;'


def table(t, enum):
    kind = f'"Kind{t}" NOT NULL DEFAULT \'A\'' if enum else 'TEXT NOT NULL DEFAULT \'A\''
    sql = [f'CREATE TYPE "Kind{t}" AS ENUM (\'A\', \'B\', \'C\');'] if enum else []
    sql += [f'CREATE TABLE "Thing{t}" (\n    "id" TEXT NOT NULL,\n    "name" TEXT NOT NULL,\n    "kind" {kind},\n    "price" NUMERIC(12,2),\n    "parentId" TEXT,\n'
            f'    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,\n    "updatedAt" TIMESTAMP(3),\n\n    CONSTRAINT "Thing{t}_pkey" PRIMARY KEY ("id")\n);',
            f'CREATE INDEX "Thing{t}_kind_idx" ON "Thing{t}"("kind", "createdAt");']
    if enum:
        sql.append(f'CREATE UNIQUE INDEX "Thing{t}_name_key" ON "Thing{t}"("name");')
    if t:
        sql.append(f'ALTER TABLE "Thing{t}" ADD CONSTRAINT "Thing{t}_parentId_fkey" FOREIGN KEY ("parentId") REFERENCES "Thing{t-1}"("id") ON DELETE CASCADE ON UPDATE CASCADE;')
    return sql


class Mix:
    """Twenty migrations in turn, on the tables made so far: the last is `t`, so that one of the last four is changed."""

    def __init__(self):
        self.t = -1

    def new(self, enum):
        self.t += 1
        return table(self.t, enum)

    def of(self, i):
        n = f'n{i}'
        some = f'"Thing{self.t - i % min(4, self.t + 1)}"' if self.t >= 0 else ''
        before = f'"Thing{max(0, self.t - 1)}"'
        last = f'"Thing{self.t}"'
        return {
            0: lambda: self.new(True),
            1: lambda: [f'ALTER TABLE {some} ADD COLUMN "a{n}" TEXT;'],
            2: lambda: [f'CREATE INDEX "i{n}" ON {some}("name", "createdAt");', f'CREATE INDEX "j{n}" ON {some}("updatedAt");'],
            3: lambda: [f'ALTER TABLE {last} ADD COLUMN "b{n}" BOOLEAN NOT NULL DEFAULT false,\nADD COLUMN "c{n}" JSONB;'],
            4: lambda: [f'CREATE INDEX "i{n}" ON {some}("parentId");'],
            5: lambda: self.new(False),
            6: lambda: [f'ALTER TABLE {some} ADD COLUMN "d{n}" TEXT;', f'ALTER TABLE {some} ADD CONSTRAINT "f{n}" FOREIGN KEY ("d{n}") REFERENCES {before}("id") ON DELETE SET NULL ON UPDATE CASCADE;'],
            7: lambda: [f'ALTER TABLE {last} ADD COLUMN "e{n}" INTEGER;', f'CREATE INDEX "i{n}" ON {last}("e{n}");'],
            8: lambda: [f'INSERT INTO {last}("id", "name", "price") SELECT \'{i}-\' || g, \'{i} ; \' || g, g FROM generate_series(1, 20) g;'],
            9: lambda: [f'UPDATE {last} SET "price" = 0 WHERE "price" IS NULL;', f'ALTER TABLE {last} ALTER COLUMN "price" SET DEFAULT 0;', f'ALTER TABLE {last} ADD CONSTRAINT "g{n}" CHECK ("price" >= 0);'],
            10: lambda: self.new(True),
            11: lambda: [f'ALTER TYPE "Kind{self.t}" ADD VALUE \'D\';'],
            12: lambda: [f'CREATE INDEX "i{n}" ON {some}("kind", "price");', f'CREATE INDEX "j{n}" ON {some}("name");', f'DROP INDEX "i{n}";'],
            13: lambda: [function(i, self.t)],
            14: lambda: [f'ALTER TABLE {some} ADD COLUMN "h{n}" TIMESTAMP(3);'],
            15: lambda: self.new(False),
            16: lambda: [f'ALTER TABLE {last} ADD COLUMN "k{n}" TEXT;', f'ALTER TABLE {last} DROP COLUMN "k{n}";', f'ALTER TABLE {last} ALTER COLUMN "name" DROP NOT NULL;'],
            17: lambda: [f'CREATE UNIQUE INDEX "u{n}" ON {some}("id", "parentId");'],
            18: lambda: [f'ALTER TABLE {some} ADD COLUMN "l{n}" TEXT[] DEFAULT ARRAY[]::TEXT[];', f'CREATE VIEW "v{n}" AS SELECT "id", "name" FROM {last};', f'DROP VIEW "v{n}";'],
            19: lambda: [f'ALTER TABLE {last} ADD COLUMN "m{n}" TEXT NOT NULL DEFAULT \'x\';', f'ALTER TABLE {last} ALTER COLUMN "m{n}" DROP DEFAULT;'],
        }[i % 20]()


def main():
    folder, count, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    os.makedirs(folder)
    with open(f"{folder}/migration_lock.toml", "w") as lock:
        lock.write('provider = "postgresql"\n')
    mix = Mix()
    for i in range(count):
        sql = mix.of(i) if kind == "mix" else whole(i)
        path = f"{folder}/{20200101000000 + i}_step_{i}"
        os.makedirs(path)
        with open(f"{path}/migration.sql", "w") as script:
            script.write(f"-- step {i}\n" + "\n\n".join(sql) + "\n")


main()

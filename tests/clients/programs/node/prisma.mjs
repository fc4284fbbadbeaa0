// Prisma 7's client over its driver adapter, made from models with String ids. A pool of one connection.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
const require = createRequire(process.env.CLIENT_MODULES + "/");
const { PrismaPg } = require("@prisma/adapter-pg");
const { PrismaClient } = require("./generated/index.js");

const adapter = new PrismaPg({ connectionString: process.env.CLIENT_URL, max: 1, idleTimeoutMillis: 0 });
const prisma = new PrismaClient({ adapter });
const kinds = {
  insert: (s) => prisma.item.create({ data: { id: s.item, owner_id: s.owner, note: "x" } }),
  "by id": (s) => prisma.item.findUnique({ where: { id: s.item } }),
  IN: (s) => prisma.item.findMany({ where: { id: { in: [s.item, s.other] } } }),
  join: (s) => prisma.item.findMany({ where: { owner: { id: s.owner } }, include: { owner: true } }),
  update: (s) => prisma.item.updateMany({ where: { id: s.item }, data: { owner_id: s.owner } }),
  delete: (s) => prisma.item.deleteMany({ where: { id: s.item } }),
};
await prisma.$queryRaw`SELECT 1`;
console.log("ok\t");
for await (const line of createInterface({ input: process.stdin })) {
  const [kind, item, owner, other] = line.split("\t");
  try {
    const found = await kinds[kind]({ item, owner, other });
    console.log(`ok\t${kind === "by id" && found ? typeof found.id : ""}`);
  } catch (error) {
    console.log(`error\t${String(error.message).replace(/\s+/g, " ")}`);
  }
}
await prisma.$disconnect();

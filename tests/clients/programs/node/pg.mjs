// node-postgres: a pool of one connection; `CLIENT_NAMED` says that statements have names, and so are prepared.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
const { Pool } = createRequire(process.env.CLIENT_MODULES + "/")("pg");

const statements = {
  insert: ["INSERT INTO item (id, owner_id, note) VALUES ($1, $2, 'x')", (s) => [s.item, s.owner]],
  "by id": ["SELECT id, note FROM item WHERE id = $1", (s) => [s.item]],
  IN: ["SELECT note FROM item WHERE id IN ($1, $2)", (s) => [s.item, s.other]],
  ANY: ["SELECT note FROM item WHERE id = ANY ($1)", (s) => [[s.item, s.other]]],
  join: ["SELECT i.note FROM item i JOIN owner o ON o.id = i.owner_id WHERE o.id = $1", (s) => [s.owner]],
  update: ["UPDATE item SET owner_id = $1 WHERE id = $2", (s) => [s.owner, s.item]],
  delete: ["DELETE FROM item WHERE id = $1", (s) => [s.item]],
};
const pool = new Pool({ connectionString: process.env.CLIENT_URL, max: 1, idleTimeoutMillis: 0 });
pool.on("error", () => {});
await pool.query("SELECT 1");
console.log("ok\t");
for await (const line of createInterface({ input: process.stdin })) {
  const [kind, item, owner, other] = line.split("\t");
  const [text, values] = statements[kind];
  const name = process.env.CLIENT_NAMED ? kind : undefined;
  try {
    const { rows } = await pool.query({ name, text, values: values({ item, owner, other }) });
    console.log(`ok\t${kind === "by id" && rows.length ? typeof rows[0].id : ""}`);
  } catch (error) {
    console.log(`error\t${String(error.message).replace(/\s+/g, " ")}`);
  }
}
await pool.end();

export { greet } from "../regions/clean.ts"; // expect eslint(no-restricted-imports)
export { rows } from "../test/rows.ts"; // expect eslint(no-restricted-imports)

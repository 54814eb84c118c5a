export { join } from "../runtime/worker.ts"; // expect eslint(no-restricted-imports)

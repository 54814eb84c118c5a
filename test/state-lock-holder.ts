// Takes the lock of a folder, says "held" or the error as JSON, and waits to be killed. With "go" it waits for a line first. Arguments: folder, owner, "go" or nothing.
import { once } from "node:events";
import { lockStateFolder, StateFolderLocked } from "../runtime/state-lock.ts";

const [folder = "", owner = "", go] = process.argv.slice(2);
if (go === "go") {
  process.stdout.write("ready\n");
  await once(process.stdin, "data");
}
try {
  await lockStateFolder(folder, { owner });
  process.stdout.write("held\n");
  setInterval(() => undefined, 60_000);
} catch (error) {
  if (!(error instanceof StateFolderLocked)) throw error;
  process.stdout.write(`${JSON.stringify({ name: error.name, pid: error.pid, owner: error.owner })}\n`);
  process.exit(0);
}

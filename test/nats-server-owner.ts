// Starts a nats-server, says its process id and port, and waits to be killed. Arguments: folder, "true" or "false" for dieWithParent.
import { ensureNatsServer } from "../runtime/nats-server/provision.ts";
import { NatsServerProcess } from "../runtime/nats-server/server.ts";

const [folder = "", dieWithParent] = process.argv.slice(2);
const server = await NatsServerProcess.start({
  binary: await ensureNatsServer(),
  folder,
  dieWithParent: dieWithParent === "true",
  config: { name: "n", listen: { host: "127.0.0.1", port: "random" } },
});
process.stdout.write(`${server.pid} ${server.port}\n`);

/** How a server process ended, with the last lines that it logged. */
export interface ServerExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly lastLines: readonly string[];
}

/** Another program listens on the address already. */
export class NatsPortInUse extends Error {
  override readonly name = "NatsPortInUse";
  readonly address: string;
  constructor(address: string) {
    super(
      `Cannot start nats-server: ${address} is in use; end the program that listens there, or configure another port`,
    );
    this.address = address;
  }
}

/** JetStream cannot keep its files where it was told to. */
export class NatsStoreUnusable extends Error {
  override readonly name = "NatsStoreUnusable";
  readonly storeFolder: string;
  constructor(storeFolder: string, why: string) {
    super(
      `Cannot start nats-server: its store folder ${storeFolder} is unusable: ${why}; make it a folder that this user may write, with room`,
    );
    this.storeFolder = storeFolder;
  }
}

/** The server does not accept its configuration, for example a certificate file that is not there. */
export class NatsConfigRefused extends Error {
  override readonly name = "NatsConfigRefused";
  constructor(why: string) {
    super(`Cannot start nats-server: it refuses its configuration: ${why}`);
  }
}

/** The server ended by itself, for none of the reasons that have an error of their own. */
export class NatsServerCrashed extends Error {
  override readonly name = "NatsServerCrashed";
  readonly exit: ServerExit;
  constructor(doing: "start" | "run", exit: ServerExit) {
    const how = exit.signal === null ? `exit status ${exit.exitCode}` : `ended by ${exit.signal}`;
    super(`Cannot ${doing} nats-server: it ended by itself (${how})${quoteLog(exit.lastLines)}`);
    this.exit = exit;
  }
}

/** The server runs and has not said within the time allowed that it takes connections. */
export class NatsServerSlow extends Error {
  override readonly name = "NatsServerSlow";
  readonly waitedMs: number;
  constructor(waitedMs: number, lastLines: readonly string[]) {
    super(`Cannot start nats-server: it took no connections within ${waitedMs} ms${quoteLog(lastLines)}`);
    this.waitedMs = waitedMs;
  }
}

/** A living process runs the server of this folder. */
export class NatsServerOwned extends Error {
  override readonly name = "NatsServerOwned";
  readonly ownerPid: number;
  readonly serverPid: number;
  constructor(folder: string, pids: { readonly ownerPid: number; readonly serverPid: number }) {
    super(
      `Cannot start nats-server in ${folder}: process ${pids.ownerPid} runs one there (process ${pids.serverPid}); end that one first, or use another folder`,
    );
    this.ownerPid = pids.ownerPid;
    this.serverPid = pids.serverPid;
  }
}

/** The named error for a server that ended before it was ready, told by what it logged. */
export function startError(exit: ServerExit, storeFolder: string | undefined): Error {
  for (const line of exit.lastLines.toReversed()) {
    const bind = /listen tcp[46]? (\S+): (?:bind|listen): (.*)/.exec(line);
    if (bind !== null) {
      const [, address = "", why = ""] = bind;
      return /in use|only one usage/i.test(why)
        ? new NatsPortInUse(address)
        : new NatsConfigRefused(`it cannot listen on ${address}: ${why}`);
    }
    const store = /Can't start JetStream: (.*)/.exec(line);
    if (store !== null && storeFolder !== undefined) {
      return new NatsStoreUnusable(storeFolder, store[1] ?? line);
    }
    const config = /^nats-server: (.*)/.exec(line);
    if (config !== null) {
      return new NatsConfigRefused(config[1] ?? line);
    }
  }
  return new NatsServerCrashed("start", exit);
}

function quoteLog(lines: readonly string[]): string {
  return lines.length === 0
    ? "; it logged nothing"
    : `; it logged last:\n${lines
        .slice(-8)
        .map((line) => `  ${line}`)
        .join("\n")}`;
}

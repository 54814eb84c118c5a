import { type ConnectionOptions } from "@nats-io/transport-node";
import { readFileSync } from "node:fs";

/** How to reach one server. Credentials are data, read by whoever starts the process. */
export interface NatsServerOptions {
  readonly url: string | readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** Paths of PEM files, read at each connection, so that renewed ones are used. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

/** The same in the client's words. Throws what reading the files throws. */
export function connectOptions({ url, user, password, tls }: NatsServerOptions): ConnectionOptions {
  return {
    servers: typeof url === "string" ? url : [...url],
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    ...(tls === undefined ? {} : { tls: readTls(tls) }),
  };
}

function readTls({ ca, cert, key }: NonNullable<NatsServerOptions["tls"]>): {
  ca?: string;
  cert?: string;
  key?: string;
} {
  return {
    ...(ca === undefined ? {} : { ca: readFileSync(ca, "utf8") }),
    ...(cert === undefined ? {} : { cert: readFileSync(cert, "utf8") }),
    ...(key === undefined ? {} : { key: readFileSync(key, "utf8") }),
  };
}

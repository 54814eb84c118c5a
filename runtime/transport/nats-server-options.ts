import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { type PeerCertificate } from "node:tls";
import { type ConnectionOptions, type TlsOptions } from "@nats-io/transport-node";

/** Paths of PEM files, read at each connection, so that renewed ones are used. */
export interface NatsTlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** The very certificate that the server must show, under whatever name: for a server of our own, reached by an address it may not name. */
  readonly pinned?: string;
}

/** How to reach one server. Credentials are data, read by whoever starts the process. */
export interface NatsServerOptions {
  readonly url: string | readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly tls?: NatsTlsOptions;
}

/** The server shows another certificate than the one it was given. */
class NotThatServer extends Error {
  override readonly name = "NotThatServer";

  constructor(subject: string) {
    super(`Cannot trust the nats-server: it shows a certificate of ${subject || "nobody"}, not the one in its config`);
  }
}

/** The same in the client's words. Throws what reading the files throws. */
export function connectOptions({ url, user, password, tls }: NatsServerOptions): ConnectionOptions {
  return {
    servers: typeof url === "string" ? url : [...url],
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    ...(tls === undefined ? {} : { tls: readTls(tls, typeof url === "string" ? url : (url[0] ?? "")) }),
  };
}

function readTls({ ca, cert, key, pinned }: NatsTlsOptions, url: string): TlsOptions {
  const host = (URL.parse(url)?.hostname ?? "").replace(/^\[|\]$/g, "");
  const pin = pinned === undefined ? undefined : new X509Certificate(readFileSync(pinned)).raw;
  // The client hands all of this to tls.connect, and names the host itself only where it is no address.
  return {
    ...(ca === undefined ? {} : { ca: readFileSync(ca, "utf8") }),
    ...(cert === undefined ? {} : { cert: readFileSync(cert, "utf8") }),
    ...(key === undefined ? {} : { key: readFileSync(key, "utf8") }),
    ...(isIP(host) === 0 ? {} : { host }),
    ...(pin === undefined
      ? {}
      : {
          checkServerIdentity: (_: string, shown: PeerCertificate) =>
            shown.raw.equals(pin) ? undefined : new NotThatServer(String(shown.subject.CN)),
        }),
  };
}

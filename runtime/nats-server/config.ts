import { isIPv6 } from "node:net";
import { checkConfig, isLoopback } from "./config-check.ts";
import { canSyncAlways, type NatsVersion } from "./version.ts";

/** What one nats-server is to be. Everything is written as data: no value, however hostile, can become configuration. */
export interface NatsServerConfig {
  /** A word of letters, digits, "-" and "_". */
  readonly name: string;
  /** Where clients connect. "random" lets the operating system choose, once. Beyond loopback only with `tls` and `users`. */
  readonly listen: { readonly host: string; readonly port: number | "random" };
  /** "host:port" that clients are told, where `listen` is not how they reach this server. */
  readonly clientAdvertise?: string;
  /** Absent: nobody stores anything. */
  readonly jetStream?: JetStreamConfig;
  /** Absent: whoever reaches the port may do everything, which is refused beyond loopback. */
  readonly users?: readonly NatsUser[];
  /** One of `users`: who connects without credentials is that one. On loopback only. */
  readonly anonymousUser?: string;
  readonly tls?: NatsTls;
  /** Port of the server's own HTTP statistics, on 127.0.0.1 always. Absent: none. */
  readonly monitoringPort?: number | "random";
  /** Default 2000. With `pingMax` it bounds how long a silent cut goes unnoticed. */
  readonly pingIntervalMs?: number;
  /** Unanswered pings until a connection is given up. Default 2. */
  readonly pingMax?: number;
  /** Largest message. Default 1 MiB. */
  readonly maxPayloadBytes?: number;
  /** A client that takes no bytes for so long is disconnected. Default 10,000. */
  readonly writeDeadlineMs?: number;
  /** Default 1024. */
  readonly connectionsMax?: number;
}

export interface JetStreamConfig {
  readonly storeFolder: string;
  /** A word as `name` is. */
  readonly domain: string;
  /** Default: the server's own, a share of what the machine has. */
  readonly memoryBytesMax?: number;
  readonly fileBytesMax?: number;
  /** Each write reaches the disk before it is acknowledged. Left out where the server is too old: see `canSyncAlways`. */
  readonly syncAlways?: boolean;
}

export interface NatsUser {
  readonly user: string;
  readonly password: string;
  /** "all", or only what is listed. */
  readonly permissions: "all" | NatsPermissions;
}

/** Absent means refused: a user without `publish` publishes nothing, and so does one whose `allow` is empty. */
export interface NatsPermissions {
  readonly publish?: SubjectRules;
  readonly subscribe?: SubjectRules;
  /** May publish to the reply subject of a message it received: once, or as often and as long as given. */
  readonly allowResponses?: boolean | { readonly messagesMax: number; readonly expiresMs: number };
}

/** Subjects may hold the wildcards * and >. What is denied is denied even where it is allowed. */
export interface SubjectRules {
  readonly allow: readonly string[];
  readonly deny?: readonly string[];
}

/** Paths of PEM files. With `verify`, clients must show a certificate that `ca` signed. */
export interface NatsTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
  readonly verify?: boolean;
}

/** Files that the server itself writes: its process id, and the ports that it listens on. */
export interface NatsServerFiles {
  readonly pidFile: string;
  readonly portsFolder: string;
}

/** The configuration file's text, in plain ASCII. Throws InvalidNatsConfig or UnprotectedListen. */
export function natsServerConfig(config: NatsServerConfig, version: NatsVersion, files: NatsServerFiles): string {
  checkConfig(config);
  const { listen, jetStream, users, tls } = config;
  return `${block([
    ["server_name", quote(config.name)],
    ["host", quote(listen.host)],
    ["port", port(listen.port)],
    ["client_advertise", config.clientAdvertise === undefined ? undefined : quote(config.clientAdvertise)],
    ["pid_file", quote(files.pidFile)],
    ["ports_file_dir", quote(files.portsFolder)],
    ["http", config.monitoringPort === undefined ? undefined : quote(`127.0.0.1:${port(config.monitoringPort)}`)],
    ["ping_interval", duration(config.pingIntervalMs ?? 2000)],
    ["ping_max", String(config.pingMax ?? 2)],
    ["max_payload", String(config.maxPayloadBytes ?? 1 << 20)],
    ["max_connections", String(config.connectionsMax ?? 1024)],
    ["no_auth_user", config.anonymousUser === undefined ? undefined : quote(config.anonymousUser)],
    ["write_deadline", duration(config.writeDeadlineMs ?? 10_000)],
    ["jetstream", jetStream === undefined ? undefined : map(jetStreamEntries(jetStream, version))],
    ["tls", tls === undefined ? undefined : map(tlsEntries(tls))],
    [
      "authorization",
      users === undefined ? undefined : map([["users", list(users.map((user) => map(userEntries(user))))]]),
    ],
  ])}\n`;
}

/** The URL by which a client on this machine reaches a server that listens so. */
export function localUrl(host: string, boundPort: number, secure: boolean): string {
  const everywhere = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `${secure ? "tls" : "nats"}://${isIPv6(everywhere) ? `[${everywhere}]` : everywhere}:${boundPort}`;
}

/** True when nothing outside this machine can reach the server. */
export function isLocalOnly(config: NatsServerConfig): boolean {
  return isLoopback(config.listen.host);
}

type Entry = readonly [key: string, value: string | undefined];

function jetStreamEntries(jetStream: JetStreamConfig, version: NatsVersion): Entry[] {
  return [
    ["store_dir", quote(jetStream.storeFolder)],
    ["domain", quote(jetStream.domain)],
    ["max_memory_store", jetStream.memoryBytesMax?.toString()],
    ["max_file_store", jetStream.fileBytesMax?.toString()],
    ["sync_interval", jetStream.syncAlways === true && canSyncAlways(version) ? "always" : undefined],
  ];
}

function tlsEntries(tls: NatsTls): Entry[] {
  return [
    ["cert_file", quote(tls.cert)],
    ["key_file", quote(tls.key)],
    ["ca_file", tls.ca === undefined ? undefined : quote(tls.ca)],
    ["verify", tls.verify === true ? "true" : undefined],
    ["timeout", "5"],
  ];
}

function userEntries({ user, password, permissions }: NatsUser): Entry[] {
  return [
    ["user", quote(user)],
    ["password", quote(password)],
    ["permissions", permissions === "all" ? undefined : map(permissionEntries(permissions))],
  ];
}

function permissionEntries({ publish, subscribe, allowResponses = false }: NatsPermissions): Entry[] {
  const responses =
    typeof allowResponses === "boolean"
      ? allowResponses
        ? "true"
        : undefined
      : map([
          ["max", String(allowResponses.messagesMax)],
          ["expires", duration(allowResponses.expiresMs)],
        ]);
  return [
    ["publish", rules(publish)],
    ["subscribe", rules(subscribe)],
    ["allow_responses", responses],
  ];
}

function rules({ allow, deny = [] }: SubjectRules = { allow: [] }): string {
  // The server takes an empty `allow` for no limit at all, so nothing allowed has to be said by denying everything.
  return allow.length === 0
    ? map([["deny", list([quote(">")])]])
    : map([
        ["allow", list(allow.map(quote))],
        ["deny", list(deny.map(quote))],
      ]);
}

function port(value: number | "random"): string {
  return value === "random" ? "-1" : String(value);
}

function duration(ms: number): string {
  return quote(`${ms}ms`);
}

function list(values: readonly string[]): string {
  return `[${values.join(", ")}]`;
}

function map(entries: readonly Entry[]): string {
  return `{\n${block(entries)}\n}`;
}

function block(entries: readonly Entry[]): string {
  return entries.flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${value}`])).join("\n");
}

/**
 * A string of the configuration's grammar. Whatever is not a harmless ASCII character is written as the bytes of its UTF-8,
 * so that nothing in it can end the string, start a variable or an escape, or be read as the end of the file.
 */
function quote(text: string): string {
  const escaped = Array.from(Buffer.from(text, "utf8"), (byte) => {
    const char = String.fromCharCode(byte);
    return /[A-Za-z0-9 _.,:;/*>@+=~^()|!?&%#-]/.test(char) ? char : `\\x${byte.toString(16).padStart(2, "0")}`;
  });
  return `"${escaped.join("")}"`;
}

import { isIPv4 } from "node:net";
import { isAbsolute } from "node:path";
import { type NatsServerConfig, type NatsUser, type SubjectRules } from "./config.ts";

/** A value that no nats-server configuration may have; `field` is its path in NatsServerConfig. */
export class InvalidNatsConfig extends Error {
  override readonly name = "InvalidNatsConfig";
  readonly field: string;
  constructor(field: string, why: string) {
    super(`Cannot configure nats-server: ${field} ${why}`);
    this.field = field;
  }
}

/** The server would be reachable from other machines without encryption or without users. */
export class UnprotectedListen extends Error {
  override readonly name = "UnprotectedListen";
  readonly host: string;
  readonly missing: readonly ("tls" | "users")[];
  constructor(host: string, missing: readonly ("tls" | "users")[]) {
    super(
      `Cannot let nats-server listen on ${JSON.stringify(host)}: beyond loopback it needs ${missing.join(" and ")}; give them, or listen on 127.0.0.1`,
    );
    this.host = host;
    this.missing = missing;
  }
}

const textMax = 4096;
const usersMax = 1000;
const rulesMax = 1000;
const wordPattern = /^[A-Za-z0-9_-]{1,64}$/;
const bcryptPattern = /^\$2[abxy]\$/;

/** Throws for the first thing that is wrong. No message shows a password. */
export function checkConfig(config: NatsServerConfig): void {
  const { listen, jetStream, tls, users } = config;
  checkWord("name", config.name);
  checkPort("listen.port", listen.port);
  if (!/^[A-Za-z0-9_.:%-]{1,255}$/.test(listen.host)) {
    throw new InvalidNatsConfig("listen.host", `is ${JSON.stringify(listen.host)}, which is no address or host name`);
  }
  if (config.clientAdvertise !== undefined && !/^[A-Za-z0-9_.:[\]-]{1,255}$/.test(config.clientAdvertise)) {
    throw new InvalidNatsConfig(
      "clientAdvertise",
      `is ${JSON.stringify(config.clientAdvertise)}; it must be host:port`,
    );
  }
  if (config.monitoringPort !== undefined) {
    checkPort("monitoringPort", config.monitoringPort);
  }
  checkInteger("pingIntervalMs", config.pingIntervalMs, 1, 3_600_000);
  checkInteger("pingMax", config.pingMax, 1, 100);
  checkInteger("maxPayloadBytes", config.maxPayloadBytes, 1, 64 << 20);
  checkInteger("writeDeadlineMs", config.writeDeadlineMs, 1, 3_600_000);
  checkInteger("connectionsMax", config.connectionsMax, 1, 1_000_000);
  if (jetStream !== undefined) {
    checkPath("jetStream.storeFolder", jetStream.storeFolder);
    checkWord("jetStream.domain", jetStream.domain);
    checkInteger("jetStream.memoryBytesMax", jetStream.memoryBytesMax, 1, Number.MAX_SAFE_INTEGER);
    checkInteger("jetStream.fileBytesMax", jetStream.fileBytesMax, 1, Number.MAX_SAFE_INTEGER);
  }
  if (tls !== undefined) {
    checkPath("tls.cert", tls.cert);
    checkPath("tls.key", tls.key);
    if (tls.ca !== undefined) {
      checkPath("tls.ca", tls.ca);
    } else if (tls.verify === true) {
      throw new InvalidNatsConfig("tls.verify", "needs tls.ca, the authority to verify against");
    }
  }
  checkUsers(users);
  const { anonymousUser } = config;
  if (anonymousUser !== undefined && !(isLoopback(listen.host) && users?.some(({ user }) => user === anonymousUser))) {
    throw new InvalidNatsConfig("anonymousUser", "must be one of the users, of a server that listens on loopback");
  }
  const missing = [...(tls === undefined ? ["tls" as const] : []), ...(users === undefined ? ["users" as const] : [])];
  if (missing.length > 0 && !isLoopback(listen.host)) {
    throw new UnprotectedListen(listen.host, missing);
  }
}

/** True for the addresses that cannot be reached from another machine; false in doubt. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

function checkUsers(users: readonly NatsUser[] | undefined): void {
  if (users === undefined) {
    return;
  }
  // An empty list would let everybody in.
  if (users.length === 0 || users.length > usersMax) {
    throw new InvalidNatsConfig("users", `has ${users.length} entries; it must have 1 to ${usersMax}, or be absent`);
  }
  const names = new Set<string>();
  for (const [index, { user, password, permissions }] of users.entries()) {
    const field = `users[${index}]`;
    checkText(`${field}.user`, user);
    checkText(`${field}.password`, password);
    if (bcryptPattern.test(password)) {
      throw new InvalidNatsConfig(
        `${field}.password`,
        "starts as a bcrypt hash does, and the server would take it for one; choose another",
      );
    }
    if (names.has(user)) {
      throw new InvalidNatsConfig(`${field}.user`, `is ${JSON.stringify(user)}, which another user has already`);
    }
    names.add(user);
    if (permissions === "all") {
      continue;
    }
    checkRules(`${field}.permissions.publish`, permissions.publish);
    checkRules(`${field}.permissions.subscribe`, permissions.subscribe);
    if (typeof permissions.allowResponses === "object") {
      checkInteger(
        `${field}.permissions.allowResponses.messagesMax`,
        permissions.allowResponses.messagesMax,
        1,
        1_000_000_000,
      );
      checkInteger(`${field}.permissions.allowResponses.expiresMs`, permissions.allowResponses.expiresMs, 1, 3_600_000);
    }
  }
}

function checkRules(field: string, rules: SubjectRules | undefined): void {
  for (const [key, subjects] of [
    ["allow", rules?.allow ?? []],
    ["deny", rules?.deny ?? []],
  ] as const) {
    if (subjects.length > rulesMax) {
      throw new InvalidNatsConfig(`${field}.${key}`, `has ${subjects.length} subjects; ${rulesMax} are allowed`);
    }
    for (const subject of subjects) {
      const tokens = subject.split(".");
      const wellFormed = tokens.every(
        (token, index) =>
          /^[^\s*>\p{Cc}]+$/u.test(token) || token === "*" || (token === ">" && index === tokens.length - 1),
      );
      if (!wellFormed || subject.length > textMax || !subject.isWellFormed()) {
        throw new InvalidNatsConfig(
          `${field}.${key}`,
          `has ${JSON.stringify(subject.slice(0, 100))}, which is no subject`,
        );
      }
    }
  }
}

function checkWord(field: string, value: string): void {
  if (!wordPattern.test(value)) {
    throw new InvalidNatsConfig(
      field,
      `is ${JSON.stringify(value.slice(0, 100))}; it must be 1 to 64 letters, digits, "-" or "_"`,
    );
  }
}

function checkText(field: string, value: string): void {
  if (value.length === 0 || value.length > textMax || !value.isWellFormed() || value.includes("\0")) {
    throw new InvalidNatsConfig(field, `must be 1 to ${textMax} characters of well-formed text`);
  }
}

function checkPath(field: string, value: string): void {
  checkText(field, value);
  if (!isAbsolute(value)) {
    throw new InvalidNatsConfig(field, `is ${JSON.stringify(value)}; it must be an absolute path`);
  }
}

function checkPort(field: string, value: number | "random"): void {
  if (value !== "random") {
    checkInteger(field, value, 1, 65_535);
  }
}

function checkInteger(field: string, value: number | undefined, min: number, max: number): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= min && value <= max)) {
    throw new InvalidNatsConfig(field, `is ${value}; it must be a whole number from ${min} to ${max}`);
  }
}

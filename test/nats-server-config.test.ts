import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { connect } from "@nats-io/transport-node";
import fc from "fast-check";
import { expect, test } from "vitest";
import { InvalidNatsConfig, isLoopback, UnprotectedListen } from "../runtime/nats-server/config-check.ts";
import { localUrl, natsServerConfig, type NatsServerConfig, type NatsUser } from "../runtime/nats-server/config.ts";
import { ensureNatsServer } from "../runtime/nats-server/provision.ts";
import {
  compareVersions,
  isAtLeast,
  mendedIn,
  parseVersion,
  type NatsVersion,
} from "../runtime/nats-server/version.ts";
import { startTestNats } from "./real-nats.ts";

const files = { pidFile: "/state/nats-server.pid", portsFolder: "/state/ports" };
const minimal: NatsServerConfig = { name: "n", listen: { host: "127.0.0.1", port: 4222 } };
const hostile = fc
  .oneof(
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
    fc
      .array(
        fc.constantFrom(
          '"',
          "'",
          "\\",
          "\n",
          "\r",
          "\t",
          "}",
          "{",
          "]",
          "$HOME",
          "#",
          "//",
          "include x",
          "port: 1",
          "\\x22",
          "\u0001",
          "\u2028",
          "é",
          "😀",
          "(",
          ")",
          "=",
          ":",
          ",",
        ),
        { minLength: 1, maxLength: 12 },
      )
      .map((parts) => parts.join("")),
  )
  .filter((text) => text.isWellFormed() && !text.includes("\0") && !/^\$2[abxy]\$/.test(text));

test("natsServerConfig() is plain ASCII whose structure no value can change", () => {
  // With its strings blanked, the text must be the same whatever the strings are.
  function shape(text: string): string {
    return text.replaceAll(/"(?:[^"\\\n]|\\x[0-9a-f]{2})*"/g, '""');
  }
  function withText(user: string, password: string, folder: string): string {
    return natsServerConfig(
      {
        ...minimal,
        jetStream: { storeFolder: `/${folder}`, domain: "d" },
        users: [{ user, password, permissions: "all" }],
      },
      version("2.9.10"),
      files,
    );
  }
  const expected = shape(withText("a", "b", "c"));
  fc.assert(
    fc.property(hostile, hostile, hostile, (user, password, folder) => {
      const text = withText(user, password, folder);
      expect(text).toMatch(/^[\n -~]*$/);
      expect(shape(text)).toBe(expected);
    }),
  );
});

test("the real server reads hostile names, passwords and paths back as they are", async () => {
  const samples =
    fc.sample(fc.uniqueArray(hostile, { minLength: 25, maxLength: 25 }), { numRuns: 1, seed: 7 })[0] ?? [];
  const users = samples.map((text, index): NatsUser => ({
    user: `${index}${text}`,
    password: text,
    permissions: { publish: { allow: ["a"] } },
  }));
  await using nats = await startTestNats({ users });
  for (const { user, password } of users) {
    const connection = await connect({ servers: nats.url, user, pass: password, reconnect: false });
    await connection.close();
    await expect(connect({ servers: nats.url, user, pass: `${password}x`, reconnect: false })).rejects.toThrow(
      /authorization/i,
    );
  }
});

test("the real server accepts every option at once", async () => {
  await using folder = await temporaryFolder();
  const binary = await ensureNatsServer();
  const everything: NatsServerConfig = {
    name: "every-option",
    listen: { host: "::1", port: "random" },
    clientAdvertise: "region.example:4222",
    jetStream: {
      storeFolder: join(folder.path, 'a "store" $HOME'),
      domain: "d",
      memoryBytesMax: 1 << 20,
      fileBytesMax: 5 * 2 ** 30,
      syncAlways: true,
    },
    users: [
      { user: "a", password: "b", permissions: "all" },
      {
        user: "c",
        password: "d",
        permissions: {
          publish: { allow: ["a.*.>", "$JS.API.>"], deny: ["b"] },
          subscribe: { allow: [], deny: ["c"] },
          allowResponses: { messagesMax: 3, expiresMs: 1500 },
        },
      },
    ],
    monitoringPort: "random",
    pingIntervalMs: 1500,
    pingMax: 3,
    maxPayloadBytes: 2 << 20,
    writeDeadlineMs: 2500,
    connectionsMax: 10,
  };
  const path = join(folder.path, "nats-server.conf");
  await writeFile(
    path,
    natsServerConfig(everything, binary.version, { pidFile: join(folder.path, "pid"), portsFolder: folder.path }),
  );
  const { stderr } = await promisify(execFile)(binary.path, ["-t", "-c", path]);
  expect(stderr).toContain("is valid");
});

test("what is not said is refused: no rule, or an empty allow, denies everything", () => {
  const users = [{ user: "u", password: "p", permissions: { publish: { allow: [], deny: ["x"] } } }];
  const text = natsServerConfig({ ...minimal, users }, version("2.9.10"), files).replaceAll(/\s+/g, " ");
  expect(text).toContain('permissions: { publish: { deny: [">"] } subscribe: { deny: [">"] } }');
});

test("sync_interval is written for the versions that know it", () => {
  const config: NatsServerConfig = { ...minimal, jetStream: { storeFolder: "/s", domain: "d", syncAlways: true } };
  expect(natsServerConfig(config, version("2.9.10"), files)).not.toContain("sync_interval");
  expect(natsServerConfig(config, version("2.10.0"), files)).toContain("sync_interval: always");
});

test("natsServerConfig() refuses what is wrong, naming the field and no password", () => {
  const user = { user: "u", password: "p", permissions: "all" } as const;
  const wrong: [field: string, config: Partial<NatsServerConfig>][] = [
    ["name", { name: "a b" }],
    ["name", { name: "" }],
    ["listen.port", { listen: { host: "127.0.0.1", port: 0 } }],
    ["listen.port", { listen: { host: "127.0.0.1", port: 65_536 } }],
    ["listen.host", { listen: { host: "", port: 1 } }],
    ["listen.host", { listen: { host: 'a"\n', port: 1 } }],
    ["clientAdvertise", { clientAdvertise: "a b" }],
    ["pingIntervalMs", { pingIntervalMs: Number.NaN }],
    ["maxPayloadBytes", { maxPayloadBytes: 1.5 }],
    ["monitoringPort", { monitoringPort: -1 }],
    ["jetStream.storeFolder", { jetStream: { storeFolder: "relative", domain: "d" } }],
    ["jetStream.domain", { jetStream: { storeFolder: "/s", domain: "a.b" } }],
    ["tls.verify", { tls: { cert: "/c", key: "/k", verify: true } }],
    ["users", { users: [] }],
    ["users[0].user", { users: [{ ...user, user: "" }] }],
    ["users[0].password", { users: [{ ...user, password: "" }] }],
    ["users[0].password", { users: [{ ...user, password: "\ud800" }] }],
    ["users[0].password", { users: [{ ...user, password: "$2a$11$secretsecret" }] }],
    ["users[1].user", { users: [user, user] }],
    ["users[0].permissions.publish.allow", { users: [{ ...user, permissions: { publish: { allow: ["a b"] } } }] }],
    [
      "users[0].permissions.subscribe.deny",
      { users: [{ ...user, permissions: { subscribe: { allow: [], deny: ["a..b"] } } }] },
    ],
    ["users[0].permissions.publish.allow", { users: [{ ...user, permissions: { publish: { allow: [">.a"] } } }] }],
  ];
  for (const [field, config] of wrong) {
    const error = thrownBy(() => natsServerConfig({ ...minimal, ...config }, version("2.9.10"), files));
    expect(error, field).toBeInstanceOf(InvalidNatsConfig);
    expect(error).toMatchObject({ field });
    expect(String(error)).not.toContain("secret");
  }
});

test("listening beyond loopback needs TLS and users", () => {
  const tls = { cert: "/c", key: "/k" };
  const users = [{ user: "u", password: "p", permissions: "all" }] as const;
  function attempt(host: string, more: Partial<NatsServerConfig>): unknown {
    return thrownBy(() =>
      natsServerConfig({ ...minimal, listen: { host, port: 1 }, ...more }, version("2.9.10"), files),
    );
  }
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org", "0:0:0:0:0:0:0:0"]) {
    expect(attempt(host, {})).toBeInstanceOf(UnprotectedListen);
    expect(attempt(host, { tls })).toMatchObject({ host, missing: ["users"] });
    expect(attempt(host, { users })).toMatchObject({ host, missing: ["tls"] });
    expect(attempt(host, { tls, users })).toBeUndefined();
  }
  for (const host of ["127.0.0.1", "127.9.9.9", "::1", "localhost"]) {
    expect(isLoopback(host)).toBe(true);
    expect(attempt(host, {})).toBeUndefined();
  }
});

test("localUrl() leads to this machine", () => {
  expect(localUrl("0.0.0.0", 1, false)).toBe("nats://127.0.0.1:1");
  expect(localUrl("::", 1, true)).toBe("tls://[::1]:1");
  expect(localUrl("localhost", 1, false)).toBe("nats://localhost:1");
});

test("parseVersion() reads what nats-server -v prints, and versions are ordered", () => {
  expect(parseVersion("nats-server: v2.9.10\n")).toEqual({
    major: 2,
    minor: 9,
    patch: 10,
    prerelease: false,
    text: "2.9.10",
  });
  expect(parseVersion("nats-server: v2.14.0-RC.1")).toMatchObject({ prerelease: true, text: "2.14.0-RC.1" });
  for (const text of ["", "v2", "bash: nats-server: command not found", "2.9.10\nv3.0.0 and more", "9".repeat(30)]) {
    expect(parseVersion(text), text).toBeUndefined();
  }
  const ordered = ["2.9.10", "2.10.0-RC.1", "2.10.0", "2.10.27", "3.0.0"].map(version);
  expect(ordered.toReversed().toSorted(compareVersions)).toEqual(ordered);
  expect(isAtLeast(version("2.10.0"), "2.9.99")).toBe(true);
});

test("mendedIn() names the release to change to", () => {
  for (const [text, mended] of [
    ["2.9.10", "2.14.0"],
    ["2.10.29", "2.14.0"],
    ["2.11.15", "2.11.16"],
    ["2.11.16", undefined],
    ["2.12.6", "2.12.7"],
    ["2.12.7", undefined],
    ["2.14.0-RC.1", "2.14.0"],
    ["2.14.0", undefined],
    ["3.0.0", undefined],
  ] as const) {
    expect(mendedIn(version(text)), text).toBe(mended);
  }
});

function thrownBy(attempt: () => unknown): unknown {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return error;
  }
}

function version(text: string): NatsVersion {
  const parsed = parseVersion(text);
  if (parsed === undefined) {
    throw new Error(`no version: ${text}`);
  }
  return parsed;
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-nats-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

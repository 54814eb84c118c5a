import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { resolveSecret, SecretMissing } from "../regions/secret.ts";

interface Folder extends AsyncDisposable {
  readonly path: string;
}

async function temporaryFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "freshet-config-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test("resolveSecret() reads from the environment and from files, without the last line break", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "secret");
  await writeFile(path, "s3cret\n", { mode: 0o600 });
  await expect(resolveSecret({ kind: "env", name: "P" }, { what: "it", env: { P: "p4ss" } })).resolves.toBe("p4ss");
  await expect(resolveSecret({ kind: "file", path }, { what: "it" })).resolves.toBe("s3cret");
});

test("resolveSecret() refuses what is missing, empty, of many lines or open to everyone, and names the place only", async () => {
  await using folder = await temporaryFolder();
  const [lines, open] = [join(folder.path, "lines"), join(folder.path, "open")];
  await writeFile(lines, "s3cret\ns3cret\n", { mode: 0o600 });
  await writeFile(open, "s3cret", { mode: 0o644 });
  const asked = [
    resolveSecret({ kind: "env", name: "NONE" }, { what: "the token", env: {} }),
    resolveSecret({ kind: "file", path: join(folder.path, "none") }, { what: "the token" }),
    resolveSecret({ kind: "file", path: lines }, { what: "the token" }),
    ...(process.platform === "win32" ? [] : [resolveSecret({ kind: "file", path: open }, { what: "the token" })]),
  ];
  for (const outcome of await Promise.allSettled(asked)) {
    const error: unknown = outcome.status === "rejected" ? outcome.reason : undefined;
    expect(error).toBeInstanceOf(SecretMissing);
    expect(String(error)).toContain("Cannot read the token from ");
    expect(String(error)).not.toContain("s3cret");
  }
});

test("a shared secret is made once, however many want it at the same time, for this user alone", async () => {
  await using folder = await temporaryFolder();
  // Again and again, because two that race do not always meet.
  for (let round = 0; round < 30; round++) await checkShared(join(folder.path, "links", String(round)));
});

async function checkShared(path: string): Promise<void> {
  const all = await Promise.all(
    Array.from({ length: 20 }, () => resolveSecret({ kind: "shared", path }, { what: "it" })),
  );
  expect(new Set(all).size).toBe(1);
  expect(all[0]?.length).toBeGreaterThanOrEqual(32);
  await expect(readFile(path, "utf8")).resolves.toBe(`${all[0]}\n`);
  if (process.platform !== "win32") expect((await stat(path)).mode & 0o077).toBe(0);
}

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { type Permissions, codeFolder, permissionFlags } from "../runtime/permissions.ts";
import { ActorSystem } from "../runtime/system.ts";
import { Worker } from "../runtime/worker.ts";

const attempts = new URL("runtime-fixtures/attempts.ts", import.meta.url);

interface Places extends AsyncDisposable {
  readonly state: string;
  readonly other: string;
}

async function places(): Promise<Places> {
  const folder = await mkdtemp(join(tmpdir(), "freshet-permissions-"));
  const [state, other] = [join(folder, "state"), join(folder, "other")];
  for (const place of [state, other]) {
    await mkdir(place);
    await writeFile(join(place, "canary"), "alive");
  }
  return { state, other, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

async function attempt(permissions: Permissions, data: unknown): Promise<unknown> {
  await using worker = new Worker(attempts, { name: "attempts", permissions, data });
  // Awaited here: the worker is ended as soon as this function is left.
  return await new Promise((resolve) => {
    worker.addEventListener("message", (event) => resolve("data" in event ? event.data : undefined), { once: true });
    void worker.ended.then((end) => resolve(end));
  });
}

const nothing = {
  readState: "ERR_ACCESS_DENIED",
  writeState: "ERR_ACCESS_DENIED",
  readOther: "ERR_ACCESS_DENIED",
  writeOther: "ERR_ACCESS_DENIED",
  readParent: "ERR_ACCESS_DENIED",
  writeWorking: "ERR_ACCESS_DENIED",
  connect: "ERR_ACCESS_DENIED",
  spawn: "ERR_ACCESS_DENIED",
  nested: "ERR_ACCESS_DENIED",
  addon: "ERR_DLOPEN_DISABLED",
  environment: 0,
};

test("a worker can do what it was granted and nothing else", async () => {
  await using here = await places();
  const data = { state: here.state, other: here.other, parent: dirname(codeFolder.replace(/\/$/, "")) };
  expect(await attempt({}, data)).toEqual(nothing);
  expect(await attempt({ read: [here.state] }, data)).toEqual({ ...nothing, readState: "done" });
  expect(await attempt({ write: [here.state] }, data)).toEqual({ ...nothing, writeState: "done" });
  expect(await attempt({ read: [here.state], write: [here.state] }, data)).toEqual({
    ...nothing,
    readState: "done",
    writeState: "done",
  });
  expect(await attempt({ net: true }, data)).toEqual({ ...nothing, connect: "ECONNREFUSED" });
  expect(await attempt({ addons: true }, data)).toEqual({ ...nothing, addon: "ERR_DLOPEN_FAILED" });
});

test("permissionFlags() never grants processes or workers, and no wildcards", () => {
  expect(permissionFlags({})).toEqual([
    "--disable-warning=ExperimentalWarning",
    "--permission",
    `--allow-fs-read=${codeFolder}`,
  ]);
  expect(() => permissionFlags({ read: ["/*"] })).toThrow(RangeError);
  expect(() => permissionFlags({ write: [""] })).toThrow(RangeError);
});

test("a worker whose canary can be reached ends before it hosts anything", async () => {
  await using here = await places();
  const canaries = [{ path: join(here.state, "canary"), refused: ["read" as const] }];
  await using system = await ActorSystem.start({ region: "here", sink: () => undefined, canaries });
  await system.worker({ name: "tight", actors: [] });
  await expect(system.worker({ name: "loose", permissions: { read: [here.state] }, actors: [] })).rejects.toMatchObject(
    { name: "WorkerEnded", reason: "hole" },
  );
});

test("Worker is an EventTarget that ends in every way, and says how", async () => {
  const lines: string[] = [];
  await using echo = new Worker(new URL("runtime-fixtures/echo-worker.ts", import.meta.url), {
    name: "echo",
    onLine: (line) => lines.push(line),
  });
  const events: string[] = [];
  for (const type of ["message", "error", "exit"]) echo.addEventListener(type, () => events.push(type));
  const buffer = new ArrayBuffer(8);
  echo.postMessage({ echo: buffer }, [buffer]);
  expect(buffer.byteLength).toBe(0);
  await new Promise((resolve) => echo.addEventListener("message", resolve, { once: true }));
  echo.postMessage({ close: true });
  expect(await echo.ended).toEqual({ exitCode: 0 });
  expect(lines).toEqual(["closing"]);
  await using thrower = new Worker(new URL("runtime-fixtures/echo-worker.ts", import.meta.url), { name: "thrower" });
  thrower.addEventListener("error", () => events.push("error"));
  thrower.postMessage({ fail: true });
  expect(await thrower.ended).toMatchObject({ exitCode: 1, error: { message: "as asked" } });
  await using terminated = new Worker(new URL("runtime-fixtures/echo-worker.ts", import.meta.url), {
    name: "terminated",
  });
  expect(await terminated.terminate()).toHaveProperty("exitCode");
  await terminated.terminate();
  expect(events).toEqual(["message", "exit", "error"]);
});

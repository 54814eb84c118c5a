/*
 * A setup file of every test file: what a file started, it ends. vitest itself passes a file that leaves a thread or a
 * process running, and the process would outlive the run.
 */
import { subscribe } from "node:diagnostics_channel";
import { Worker } from "node:worker_threads";
import { afterAll } from "vitest";

const patienceMs = 5000;

/** Children and listening sockets, as Node names them. Threads are not among them, so they are counted apart. */
const watched: ReadonlySet<string> = new Set(["ProcessWrap", "TCPServerWrap", "PipeServerWrap"]);
const threads = new Set<Worker>();
const before = running().length;

subscribe("worker_threads", (message) => {
  if (typeof message !== "object" || message === null || !("worker" in message)) return;
  const { worker } = message;
  if (!(worker instanceof Worker)) return;
  threads.add(worker);
  worker.once("exit", () => threads.delete(worker));
});

// Hooks run last registered first, and this one is registered before any of the file's own.
afterAll(async () => {
  const patience = AbortSignal.timeout(patienceMs);
  // What was told to end may need a moment to do it.
  while (running().length > before && !patience.aborted) await new Promise((resolve) => setTimeout(resolve, 20));
  const left = running();
  if (left.length > before) {
    throw new Error(`This file left running: ${left.join(", ")}. Hold what it starts with 'await using'`);
  }
});

function running(): readonly string[] {
  const resources = process.getActiveResourcesInfo().filter((kind) => watched.has(kind));
  return [...resources, ...Array.from(threads, ({ threadId }) => `thread ${threadId}`)];
}

import { expect, test } from "vitest";
import { type Address, defineActor } from "../runtime/actor.ts";
import { ActorSystem } from "../runtime/system.ts";

interface LivesProtocol {
  /** Has work end while the handler still runs, and then throws: its outcome waits in the mailbox as the life ends. */
  readonly "fail-beside-work": { request: undefined; reply: void };
  readonly "note-own": { request: { readonly life: number }; reply: void };
  readonly note: { request: { readonly life: number }; reply: void };
  readonly notes: { request: undefined; reply: { readonly life: number; readonly noted: readonly string[] } };
}

test("what an actor sent itself ends with the life that failed; what others sent it waits for the next", async () => {
  let lives = 0;
  const lived = defineActor<LivesProtocol, undefined>({
    kind: "lived",
    messages: ["fail-beside-work", "note-own", "note", "notes"],
    setup(_, context) {
      const life = ++lives;
      const noted: string[] = [];
      context.pipe(Promise.resolve(), "note-own", () => ({ life }));
      return {
        handlers: {
          async "fail-beside-work"() {
            const work = Promise.resolve();
            context.pipe(work, "note-own", () => ({ life }));
            // A handler that runs is not interrupted, so both messages are in the mailbox when it throws.
            await new Promise(setImmediate);
            throw new RangeError("as asked");
          },
          "note-own": (note) => void noted.push(`own of ${note.life}`),
          note: (note) => void noted.push(`from outside in ${note.life}`),
          notes: () => ({ life, noted }),
        },
      };
    },
  });
  await using system = await ActorSystem.start({
    region: "here",
    sink: () => undefined,
    restart: { restartsMax: 3, withinMs: 60_000, delayMinMs: 1, delayMaxMs: 1 },
  });
  const address: Address = { region: "here", kind: "lived", id: "a" };
  await system.host(lived, { id: address.id, config: undefined });
  const actor = system.ref<LivesProtocol>(address);
  actor.tell("fail-beside-work", undefined);
  actor.tell("note", { life: 1 });
  expect(await actor.ask("notes", undefined, { signal: AbortSignal.timeout(5000) })).toEqual({
    life: 2,
    noted: ["from outside in 1", "own of 2"],
  });
});

import { expect, test } from "vitest";
import { createPushRoom, keptPush } from "../actors/push-room.ts";

test("the next step's gradients are put where the last ones lay, once those were answered", async () => {
  const room = createPushRoom();
  const first = room.take(0, 8);
  expect(first).toHaveLength(8);
  expect(first.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(room.take(1, 8).buffer).not.toBe(first.buffer);
  expect(await room.answered(Promise.resolve("both"))).toBe("both");
  expect(room.take(0, 3).buffer).toBe(first.buffer);
  expect(room.take(0, 1_000)).toHaveLength(1_000);
});

test("what was pushed and not answered is never written again", async () => {
  const room = createPushRoom();
  const pushed = room.take(0, 4).fill(1);
  await expect(room.answered(Promise.reject(new Error("its deadline passed")))).rejects.toThrow("its deadline passed");
  room.take(0, 4).fill(2);
  expect([...pushed]).toEqual([1, 1, 1, 1]);
});

test("a push that is kept does not change with the room", () => {
  const gradients = createPushRoom().take(0, 2).fill(1);
  const part = { table: 1, keys: BigUint64Array.of(7n), gradients };
  const kept = keptPush({ trainer: "t", batch: 1, previous: 0, parts: [part], sightings: [] });
  gradients.fill(2);
  expect(kept.parts).toEqual([{ table: 1, keys: BigUint64Array.of(7n), gradients: Float32Array.of(1, 1) }]);
});

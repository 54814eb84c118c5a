// A priority queue over an array, with the order given by its owner.

/** Whether `a` must leave the heap before `b`. A strict total order makes the heap's order deterministic. */
export type Before<T> = (a: T, b: T) => boolean;

/** Adds a value. O(log n). */
export function pushHeap<T>(heap: T[], value: T, before: Before<T>): void {
  let at = heap.length;
  while (at > 0) {
    const up = (at - 1) >> 1;
    const parent = heap[up];
    if (parent === undefined || !before(value, parent)) break;
    heap[at] = parent;
    at = up;
  }
  heap[at] = value;
}

/** Removes and returns the first value, or undefined when there is none. O(log n). */
export function popHeap<T>(heap: T[], before: Before<T>): T | undefined {
  const first = heap[0];
  const value = heap.pop();
  if (value === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let down = 2 * at + 1;
    let child = heap[down];
    if (child === undefined) break;
    const right = heap[down + 1];
    if (right !== undefined && before(right, child)) {
      child = right;
      down += 1;
    }
    if (!before(child, value)) break;
    heap[at] = child;
    at = down;
  }
  heap[at] = value;
  return first;
}

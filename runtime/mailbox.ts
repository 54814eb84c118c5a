/** A queue with constant-time put and take. */
export interface Fifo<T> {
  readonly size: number;
  put(item: T): void;
  take(): T | undefined;
}

export function fifo<T>(): Fifo<T> {
  let items: (T | undefined)[] = [];
  let head = 0;
  return {
    get size() {
      return items.length - head;
    },
    put(item) {
      items.push(item);
    },
    take() {
      if (head === items.length) return undefined;
      const item = items[head];
      items[head++] = undefined;
      // Half of it is empty: copying the rest now costs less than one step per item taken.
      if (head > 1024 && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      } else if (head === items.length) {
        items = [];
        head = 0;
      }
      return item;
    },
  };
}

/** How many messages an actor keeps waiting unless it says otherwise. */
const MAILBOX_MAX = 10_000;

/** The messages that wait for one actor, oldest first, never more than its bound. Full is an answer, not a wait. */
export interface Mailbox<T> {
  readonly depth: number;
  /** False when it is full, and then nothing has been kept. */
  offer(item: T): boolean;
  /** Keeps it in any case: for what an actor sends itself, where a lost tick would stop it for ever. */
  force(item: T): void;
  take(): T | undefined;
}

export function mailbox<T>(messagesMax: number = MAILBOX_MAX): Mailbox<T> {
  if (!Number.isSafeInteger(messagesMax) || messagesMax < 1) {
    throw new RangeError(`Cannot bound a mailbox to ${messagesMax} messages: it must be a whole number of at least 1`);
  }
  const queue = fifo<T>();
  return {
    get depth() {
      return queue.size;
    },
    offer(item) {
      if (queue.size >= messagesMax) return false;
      queue.put(item);
      return true;
    },
    force: (item) => queue.put(item),
    take: () => queue.take(),
  };
}

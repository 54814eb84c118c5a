/** Signals this close together are one wish: a terminal and the process that started us both deliver Ctrl-C. */
const ONE_WISH_MS = 500;
const EXIT_NOW = 130;

/** Says when the user wants to stop. The second SIGINT or SIGTERM ends the process at once. */
export interface StopSignal extends Disposable {
  readonly signal: AbortSignal;
}

/** Listens for SIGINT, SIGTERM and, in a process that a parent started with a channel, the end of that parent. */
export function stopSignal(): StopSignal {
  const controller = new AbortController();
  let firstAt: number | undefined;
  function wish(): void {
    const now = performance.now();
    if (firstAt === undefined) {
      firstAt = now;
      controller.abort();
    } else if (now - firstAt > ONE_WISH_MS) {
      process.exit(EXIT_NOW);
    }
  }
  function orphaned(): void {
    controller.abort();
  }
  process.on("SIGINT", wish);
  process.on("SIGTERM", wish);
  process.on("disconnect", orphaned);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off("SIGINT", wish);
      process.off("SIGTERM", wish);
      process.off("disconnect", orphaned);
    },
  };
}

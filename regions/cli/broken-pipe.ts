import { errorCode } from "../../runtime/error-code.ts";

/** 128 and the number of SIGPIPE: what a shell sees of programs that end for this reason. */
const READER_GONE = 141;

/**
 * Has the process end quietly when whoever reads its output is gone, as `head` is after its lines: at once, or, where a command listens for the wish to stop,
 * by that wish, so that what it holds is kept.
 */
export function endWithReader(streams: readonly NodeJS.WriteStream[]): void {
  let isGone = false;
  for (const stream of streams) {
    stream.on("error", (error) => {
      if (errorCode(error) !== "EPIPE") throw error;
      if (isGone) return;
      isGone = true;
      if (!process.emit("SIGTERM", "SIGTERM")) process.exit(READER_GONE);
    });
  }
}

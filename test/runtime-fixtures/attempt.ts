/* What a worker tries in order to learn whether it may. */
import { connect } from "node:net";

/** "done", or the code of what refused it. */
export function attempt(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

/** The same of a connection. Nobody listens there: whether it may be tried is the question. */
export function attemptSocket(): Promise<string> {
  return new Promise((resolve) => {
    const made = connect({ port: 1, host: "127.0.0.1" });
    made.once("error", (error) => resolve("code" in error ? String(error.code) : error.message));
    made.once("connect", () => resolve("done"));
  });
}

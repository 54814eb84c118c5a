import { createHash, timingSafeEqual } from "node:crypto";
import { isLoopback } from "./config-values.ts";
import { HttpRefusal } from "./http-errors.ts";

/** What is compared instead of a token. */
export function tokenDigest(token: string): string {
  return createHash("sha256").update(token, "utf8").digest("hex");
}

/** Refuses a request without the right bearer token. Takes the same time for every wrong one. */
export function checkToken(header: string | undefined, expectedSha256: string): void {
  const given = /^Bearer +([^\s]{1,4096})$/i.exec(header ?? "")?.[1] ?? "";
  const same = timingSafeEqual(Buffer.from(tokenDigest(given), "hex"), Buffer.from(expectedSha256, "hex"));
  if (same && given !== "") return;
  throw new HttpRefusal(401, "unauthorised", "Send the node's token as `Authorization: Bearer TOKEN`", {
    headers: { "WWW-Authenticate": "Bearer" },
  });
}

/** Refuses what a web page of somebody else's has a browser send: it can reach this machine's ports with this user's address. */
export function checkOrigin(request: Request, options: { readonly loopback: boolean }): void {
  if (request.headers.get("sec-fetch-site") === "cross-site") {
    throw new HttpRefusal(
      403,
      "cross-site",
      "This comes from another site's page in a browser; ask from a server of yours",
    );
  }
  if (!options.loopback) return;
  const host = (request.headers.get("host") ?? "").replace(/:\d*$/, "");
  if (host === "" || isLoopback(host)) return;
  throw new HttpRefusal(
    421,
    "wrong-host",
    "This node listens on loopback only and answers to localhost, 127.0.0.1 and [::1]",
  );
}

/** A bucket that fills with `perSecond` tokens up to a second's worth. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #capacity: number;
  #tokens: number;
  #filledAtMs: number;

  constructor(options: { readonly perSecond: number; readonly nowMs: number }) {
    this.#perSecond = options.perSecond;
    this.#capacity = Math.max(1, options.perSecond);
    this.#tokens = this.#capacity;
    this.#filledAtMs = options.nowMs;
  }

  /** Takes a token and gives 0, or gives the whole seconds until there is one. A clock that jumps back costs at most what was in it. */
  take(nowMs: number): number {
    const passed = Math.max(0, nowMs - this.#filledAtMs);
    this.#filledAtMs = nowMs;
    this.#tokens = Math.min(this.#capacity, this.#tokens + (passed / 1000) * this.#perSecond);
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.max(1, Math.ceil((1 - this.#tokens) / this.#perSecond));
  }
}

import { type Context, type Protocol } from "../runtime/actor.ts";

/**
 * The last part of a writer id: 100 random bits, so that no start of any process ever repeats another's, and none needs to be written
 * down before its first use.
 */
export function drawNonce<P extends Protocol<P>>(context: Pick<Context<P>, "random">): string {
  let nonce = "";
  for (let at = 0; at < 20; at += 1) nonce += Math.floor(context.random() * 32).toString(32);
  return nonce;
}

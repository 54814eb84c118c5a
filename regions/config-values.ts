import { resolve } from "node:path";
import * as z from "zod";

/*
 * The single values of a config file. Each schema's error text says what is allowed, not what went wrong:
 * the reader of the file adds where it stands and what was given.
 */

const DURATION_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_BYTES = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 } as const;

/** The most JavaScript memory of a worker, where a file does not say. */
export const HEAP = "4GB";

/** How far ahead of a node's clock rows may be stamped, and how often it writes images, where a file does not say. */
export const JUMP_LIMIT = "24h";
export const SNAPSHOT_EVERY = "5s";
export const SNAPSHOT_EVERY_MAX = "1d";

/** A duration such as `500ms` or `3d`, as whole milliseconds between two bounds that are written the same way. */
export function duration(range: { readonly min: string; readonly max: string }): z.ZodType<number, string> {
  const allowed = `a duration from "${range.min}" to "${range.max}", a number with ms, s, m, h or d`;
  const [min, max] = [durationMs(range.min) ?? 0, durationMs(range.max) ?? 0];
  return z
    .string({ error: allowed })
    .regex(/^\d{1,9}(?:\.\d{1,3})?(?:ms|s|m|h|d)$/, { error: allowed })
    .transform((text, context) => {
      const ms = durationMs(text);
      if (ms !== undefined && ms >= min && ms <= max) return ms;
      context.issues.push({ code: "custom", message: allowed, input: text });
      return z.NEVER;
    });
}

/** Whole milliseconds of a duration such as `1.5h`, rounded, or undefined when it is none. */
export function durationMs(text: string): number | undefined {
  const parts = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text);
  const unit = parts?.[2];
  if (unit !== "ms" && unit !== "s" && unit !== "m" && unit !== "h" && unit !== "d") return undefined;
  return Math.round(Number(parts?.[1]) * DURATION_MS[unit]);
}

/** A size such as `64KB`, as bytes (a KB is 1024) between two bounds that are written the same way. */
export function size(range: { readonly min: string; readonly max: string }): z.ZodType<number, string> {
  const allowed = `a size from "${range.min}" to "${range.max}", a number with B, KB, MB, GB or TB`;
  const [min, max] = [sizeBytes(range.min) ?? 0, sizeBytes(range.max) ?? 0];
  return z
    .string({ error: allowed })
    .regex(/^\d{1,9}(?:\.\d{1,3})?(?:B|KB|MB|GB|TB)$/, { error: allowed })
    .transform((text, context) => {
      const bytes = sizeBytes(text);
      if (bytes !== undefined && bytes >= min && bytes <= max) return bytes;
      context.issues.push({ code: "custom", message: allowed, input: text });
      return z.NEVER;
    });
}

/** Bytes a second such as `20MB/s` (an MB is 2^20 bytes), between two bounds that are written the same way. */
export function rate(range: { readonly min: string; readonly max: string }): z.ZodType<number, string> {
  const allowed = `a rate from "${range.min}" to "${range.max}", a number with B/s, KB/s, MB/s or GB/s`;
  const [min, max] = [rateBytes(range.min) ?? 0, rateBytes(range.max) ?? 0];
  return z
    .string({ error: allowed })
    .regex(/^\d{1,9}(?:\.\d{1,3})?(?:B|KB|MB|GB)\/s$/, { error: allowed })
    .transform((text, context) => {
      const bytes = rateBytes(text);
      if (bytes !== undefined && bytes >= min && bytes <= max) return bytes;
      context.issues.push({ code: "custom", message: allowed, input: text });
      return z.NEVER;
    });
}

function rateBytes(text: string): number | undefined {
  return text.endsWith("/s") ? sizeBytes(text.slice(0, -2)) : undefined;
}

/** Bytes of a size such as `64KB`, rounded, or undefined when it is none. */
export function sizeBytes(text: string): number | undefined {
  const parts = /^(\d{1,9}(?:\.\d{1,3})?)(B|KB|MB|GB|TB)$/.exec(text);
  const unit = parts?.[2];
  if (unit !== "B" && unit !== "KB" && unit !== "MB" && unit !== "GB" && unit !== "TB") return undefined;
  return Math.round(Number(parts?.[1]) * SIZE_BYTES[unit]);
}

/** An integer between two bounds, both allowed. */
export function integer(range: { readonly min: number; readonly max: number }): z.ZodNumber {
  const error = `an integer from ${range.min} to ${range.max}`;
  return z.number({ error }).int({ error }).min(range.min, { error }).max(range.max, { error });
}

/** A name that may stand in a subject. */
export const token: z.ZodString = z
  .string({
    error: "a name of 1 to 64 lower-case letters, digits, '-' or '_', beginning and ending with a letter or digit",
  })
  .regex(/^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/, {
    error: "a name of 1 to 64 lower-case letters, digits, '-' or '_', beginning and ending with a letter or digit",
  });

/** Where to listen. Port 0 takes any free one. */
export interface Listen {
  readonly host: string;
  readonly port: number;
  /** Whether only this machine can connect. */
  readonly loopback: boolean;
}

/** `HOST:PORT`; an IPv6 address in brackets. */
export const listen: z.ZodType<Listen, string> = z
  .string({ error: 'HOST:PORT, such as "127.0.0.1:8080"' })
  .transform((text, context) => {
    const parts = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([a-zA-Z0-9.-]{1,253})):(\d{1,5})$/.exec(text);
    const host = parts?.[1] ?? parts?.[2];
    const port = Number(parts?.[3]);
    if (host !== undefined && port <= 65_535) return { host, port, loopback: isLoopback(host) };
    context.issues.push({
      code: "custom",
      message: 'HOST:PORT, such as "127.0.0.1:8080" or "[::1]:8080"',
      input: text,
    });
    return z.NEVER;
  });

/** Whether a host name or address is this machine and reachable from nowhere else. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

const NATS_URL_RULE = "nats://HOST:PORT or tls://HOST:PORT, without user and password (those have their own fields)";

/** The address of a nats-server. Credentials never stand in it. */
export const natsUrl: z.ZodString = z
  .string({ error: NATS_URL_RULE })
  .max(300, { error: NATS_URL_RULE })
  .refine(isNatsUrl, { error: NATS_URL_RULE });

function isNatsUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "nats:" && url.protocol !== "tls:")) return false;
  return (
    url.hostname !== "" &&
    url.username === "" &&
    url.password === "" &&
    url.pathname === "" &&
    url.search === "" &&
    url.hash === ""
  );
}

/** A secret by the place it is kept in. `shared` is made by whoever of this user's region nodes on this machine needs it first. */
export type Secret =
  | { readonly kind: "env"; readonly name: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "shared"; readonly path: string };

/** A file or folder, relative to the folder of the config file; absolute once read. */
export function path(folder: string): z.ZodType<string, string> {
  const error = "the path of a file or folder";
  return z
    .string({ error })
    .min(1, { error })
    .max(4096, { error })
    .refine((text) => !text.includes("\0"), { error })
    .transform((text) => resolve(folder, text));
}

/** `{ "env": NAME }` or `{ "file": PATH }`; never the secret itself. */
export function secret(folder: string): z.ZodType<Secret, { env: string } | { file: string }> {
  const name = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, { error: "the name of an environment variable" });
  return z
    .union([z.strictObject({ env: name }), z.strictObject({ file: path(folder) })], {
      error: '{ "env": "NAME" } or { "file": "path" }: a secret itself never stands in a config file',
    })
    .transform((value): Secret =>
      "env" in value ? { kind: "env", name: value.env } : { kind: "file", path: value.file },
    );
}

/** What a feature of events is called. */
export const featureName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, { error: "a feature's name: 1 to 64 letters, digits, '_', '.' or '-'" });

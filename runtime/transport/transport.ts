import { type Address, type AskFailure } from "../actor.ts";
import { isToken } from "../../protocols/subjects.ts";

/** What a failed ask carries back: data, so that it crosses threads and NATS. */
export interface WireError {
  readonly code: AskFailure;
  readonly why: string;
  readonly data?: unknown;
}

interface Sent {
  readonly to: Address;
  readonly from: Address;
  readonly message: string;
  readonly body: unknown;
}

/** `askId` is the sender's: unique among its asks, and all that an answer needs to find its way back over the same transport. */
export type Envelope =
  | ({ readonly kind: "tell" } & Sent)
  | ({ readonly kind: "ask"; readonly askId: number } & Sent)
  | { readonly kind: "reply"; readonly askId: number; readonly body: unknown }
  | { readonly kind: "error"; readonly askId: number; readonly error: WireError }
  /** Nobody waits for this answer any more. */
  | { readonly kind: "cancel"; readonly askId: number }
  /** A copy for whoever inspects, never to be acted upon: short JSON text in place of the body. */
  | ({ readonly kind: "mirror"; readonly of: Mirrored; readonly text: string } & Omit<Sent, "body">);

/** What a mirrored text is of: something told or asked, or what became of an ask. */
export type Mirrored = "sent" | "reply" | "error";

export interface SendOptions {
  readonly transfer?: readonly ArrayBuffer[];
}

/**
 * Carries envelopes to and from a peer, at most once and in order per pair of actors, or not at all. Sending never throws and never waits.
 * An ask that cannot be carried is answered with an error envelope by the transport itself; a tell is dropped and counted.
 */
export interface Transport extends AsyncDisposable {
  send(envelope: Envelope, options?: SendOptions): void;
  /** Sets the one receiver. What arrived before is not lost. */
  onEnvelope(receive: (envelope: Envelope) => void): void;
  /** Called once, when the peer is gone or this end was closed. From then on nothing is sent or received. */
  onClosed(closed: () => void): void;
  /** Any number of times. */
  close(): Promise<void>;
}

/** Counts what a transport or a mailbox did not carry, by reason; what was only a mirror is counted apart. */
export type DropCounter = (reason: DropReason, envelope: { readonly message?: string; readonly kind?: string }) => void;
export type DropReason =
  | "mailbox-full"
  | "backpressure"
  | "too-large"
  | "not-data"
  | "disconnected"
  | "no-actor"
  | "unknown-message"
  | "ended"
  | "undecodable"
  | "forged";

/** The key of an address: which way an answer goes back is no part of it. */
export function addressKey({ region, kind, id }: Address): string {
  return `${region}.${kind}.${id}`;
}

/** Those of the names that could not be part of a subject: an actor that used one could not be reached from other processes. */
export function unaddressable(names: readonly string[]): string[] {
  return names.filter((name) => !isToken(name));
}

/** A body that carried no bytes beyond its own: views are cut out of the buffers they look at. */
export interface PackedBody {
  readonly body: unknown;
  /** Of all buffers in it that are copied, shared ones not counted. */
  readonly bytes: number;
}

const DEPTH_MAX = 8;

/**
 * Cloning a view clones all of its buffer, which may be the megabyte that a socket read, so each view of a part is replaced by a copy
 * of that part, except where its buffer is handed over. Looks into plain objects and arrays, eight deep.
 */
export function packBody(body: unknown, transfer: readonly ArrayBuffer[] = []): PackedBody {
  let bytes = 0;

  function pack(value: unknown, depth: number): unknown {
    if (typeof value !== "object" || value === null) return value;
    if (value instanceof ArrayBuffer) {
      bytes += value.byteLength;
      return value;
    }
    if (ArrayBuffer.isView(value)) {
      const { buffer } = value;
      if (!(buffer instanceof ArrayBuffer)) return value;
      bytes += value.byteLength;
      if (value.byteLength === buffer.byteLength || transfer.includes(buffer)) return value;
      return copyOf(value);
    }
    if (depth === DEPTH_MAX) return value;
    if (Array.isArray(value)) {
      return value.some((item) => typeof item === "object") ? value.map((item) => pack(item, depth + 1)) : value;
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return value;
    let changed: Record<string, unknown> | undefined;
    for (const [name, item] of Object.entries(value)) {
      const packed = pack(item, depth + 1);
      if (packed === item) continue;
      changed ??= { ...value };
      changed[name] = packed;
    }
    return changed ?? value;
  }
  return { body: pack(body, 0), bytes };
}

function copyOf(view: ArrayBufferView): unknown {
  const copy = new Uint8Array(view.byteLength);
  copy.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  if (view instanceof Uint8Array) return copy;
  if (view instanceof DataView) return new DataView(copy.buffer);
  if (view instanceof Float32Array) return new Float32Array(copy.buffer);
  if (view instanceof Float64Array) return new Float64Array(copy.buffer);
  if (view instanceof Float16Array) return new Float16Array(copy.buffer);
  if (view instanceof Uint32Array) return new Uint32Array(copy.buffer);
  if (view instanceof Int32Array) return new Int32Array(copy.buffer);
  if (view instanceof BigInt64Array) return new BigInt64Array(copy.buffer);
  if (view instanceof BigUint64Array) return new BigUint64Array(copy.buffer);
  if (view instanceof Uint16Array) return new Uint16Array(copy.buffer);
  if (view instanceof Int16Array) return new Int16Array(copy.buffer);
  if (view instanceof Int8Array) return new Int8Array(copy.buffer);
  if (view instanceof Uint8ClampedArray) return new Uint8ClampedArray(copy.buffer);
  return view;
}

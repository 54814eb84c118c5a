/** Bytes or a message that are not what they claim to be. Nothing of them has been used. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  readonly reason: string;
  readonly offsetBytes: number;

  constructor(what: string, reason: string, offsetBytes = 0) {
    super(`Cannot decode ${what}: ${reason} at byte ${offsetBytes}`);
    this.reason = reason;
    this.offsetBytes = offsetBytes;
  }
}

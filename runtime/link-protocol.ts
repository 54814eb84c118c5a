/*
 * The link worker's control surface, for operations and tests. The actor of kind `link` has the node's name as its id.
 */

/** One connection, as it is. */
export interface LinkStatus {
  /** The region whose server it goes to. */
  readonly peer: string;
  readonly state: "connecting" | "connected" | "cut" | "closed";
  readonly rttMs?: number;
  /** Since the connection was made: all that passed it, streams included. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface LinkProtocol {
  /** Drops the link to a peer on purpose, both directions, until it is healed. */
  readonly cut: { request: { readonly peer: string }; reply: { readonly was: LinkStatus["state"] } };
  readonly heal: { request: { readonly peer: string }; reply: { readonly was: LinkStatus["state"] } };
  readonly links: { request: undefined; reply: readonly LinkStatus[] };
}

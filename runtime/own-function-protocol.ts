/** What came of a call: data, also where the function threw. */
export type CallOutcome =
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "threw"; readonly why: string };

/** What an actor accepts that is a function of the operator's own. */
export interface OwnFunctionProtocol {
  readonly call: { request: { readonly input: unknown }; reply: CallOutcome };
}

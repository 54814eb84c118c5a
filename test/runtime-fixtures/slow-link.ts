import { type ShardProtocol } from "../../actors/shard-protocol.ts";
import { type Address, defineActor } from "../../runtime/actor.ts";

/** What stands between two replicas as a slow link would: each takes it for the other. */
export interface SlowLinkProtocol extends Pick<ShardProtocol, "pull" | "more" | "release" | "refuse" | "frame"> {
  readonly deliver: { request: { readonly body: Uint8Array }; reply: void };
}

export interface SlowLinkConfig {
  readonly puller: Address;
  readonly responder: Address;
  readonly bytesPerSecond: number;
}

/** Questions pass at once; frames in order, at the link's rate. */
export const slowLink = defineActor<SlowLinkProtocol, SlowLinkConfig>({
  kind: "shard",
  messages: ["pull", "more", "release", "refuse", "frame", "deliver"],
  setup: ({ puller, responder, bytesPerSecond }, context) => {
    const [to, back] = [context.ref<ShardProtocol>(responder), context.ref<ShardProtocol>(puller)];
    let busyUntilMs = 0;
    return {
      handlers: {
        pull: (body) => to.tell("pull", body),
        more: (body) => to.tell("more", body),
        release: (body) => to.tell("release", body),
        refuse: (body) => back.tell("refuse", body),
        frame: (body) => {
          if (!(body instanceof Uint8Array)) return;
          const nowMs = context.now();
          busyUntilMs = Math.max(busyUntilMs, nowMs) + (body.length / bytesPerSecond) * 1000;
          context.after(busyUntilMs - nowMs, "deliver", { body });
        },
        deliver: ({ body }) => back.tell("frame", body),
      },
    };
  },
});

import { type Unsent } from "../protocols/model-state/log-follower.ts";
import { type LogExtent, type RegionLogState } from "../protocols/model-state/region-log.ts";
import { type Role } from "../protocols/model-state/role.ts";
import { type ActorRef, type Context } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { type StateManagerConfig } from "./state-manager.ts";
import { type StateManagerProtocol, type TrainingReply } from "./state-manager-protocol.ts";
import { type ShardPorts } from "./take-over.ts";

/** A state manager as its parts see it: what it knows of the log, and what it can have it say. */
export interface LogBook {
  readonly config: StateManagerConfig;
  readonly context: Context<StateManagerProtocol>;
  readonly stream: ActorRef<StreamProtocol>;
  readonly ports: ShardPorts;
  readonly managerOf: (region: string) => ActorRef<StateManagerProtocol>;
  readonly log: () => RegionLogState;
  readonly role: () => Role;
  /** The own region's stream has been read, or that of a later epoch. */
  readonly knowsOwn: () => boolean;
  /** Whether another region's log is to take the place of the own one. */
  readonly isTruer: (found: LogExtent) => boolean;
  readonly describeTraining: () => TrainingReply;
  /** Why nothing may be appended here now. */
  readonly logRefusal: () => string | undefined;
  readonly append: (unsent: Unsent) => void;
  /** What is not there yet is waited for no longer by the turn of reading that runs. */
  readonly endWait: () => void;
  /** Another log is the true one; or it could not be taken over now. Ends the turn of `adopt`. */
  readonly adopted: (log: RegionLogState | undefined) => void;
}

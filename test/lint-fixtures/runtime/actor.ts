export interface ActorName {
  readonly name: string;
}

import { type Arguments } from "./arguments.ts";

/** One option of a command. Without `value` it is a switch. */
export interface Option {
  readonly name: string;
  readonly short?: string;
  /** What stands for its value in the help, such as DIR. */
  readonly value?: string;
  readonly about: string;
  readonly default?: string;
}

/** Where a command reads and writes. */
export interface Terminal {
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WriteStream;
  readonly input: NodeJS.ReadStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** One command of `freshet`. What it does is loaded when it runs, so that help and errors come at once. */
export interface Command {
  /** One or two words, such as `config check`. */
  readonly name: string;
  readonly summary: string;
  /** Positional arguments as the help shows them, such as `[FILE...]`. */
  readonly operands: string;
  readonly operandsMin: number;
  readonly operandsMax: number;
  readonly description: string;
  readonly options: readonly Option[];
  readonly examples: readonly (readonly [command: string, about: string])[];
  /** Gives the exit code. */
  run(args: Arguments, terminal: Terminal): Promise<number>;
}

/** The command line is wrong: what is, and which command's help says more. */
export class WrongUsage extends Error {
  override readonly name = "WrongUsage";
  readonly command: string;

  constructor(command: string, why: string) {
    super(why);
    this.command = command;
  }
}

import { parseArgs } from "node:util";
import { durationMs } from "../config-values.ts";
import { nearestName } from "../nearest-name.ts";
import { type Command, type Option, WrongUsage } from "./command.ts";

export const COMMON_OPTIONS: readonly Option[] = [{ name: "help", short: "h", about: "Show this help" }];

/** The options and operands of one call, checked: none unknown, none without its value. */
export class Arguments {
  readonly operands: readonly string[];
  readonly #command: string;
  readonly #values: ReadonlyMap<string, string | true>;

  constructor(
    command: string,
    given: { readonly values: ReadonlyMap<string, string | true>; readonly operands: readonly string[] },
  ) {
    this.#command = command;
    this.#values = given.values;
    this.operands = given.operands;
  }

  /** Names of the options that were given. */
  get given(): readonly string[] {
    return [...this.#values.keys()];
  }

  flag(name: string): boolean {
    return this.#values.has(name);
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === true ? undefined : value;
  }

  /** A number between two bounds. */
  number(
    name: string,
    range: { readonly min: number; readonly max: number; readonly integer?: boolean },
  ): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^-?\d+(?:\.\d+)?(?:e\d+)?$/i.test(text) ? Number(text) : Number.NaN;
    const { min, max, integer = false } = range;
    if (!(value >= min && value <= max) || (integer && !Number.isInteger(value))) {
      throw this.wrong(name, `${integer ? "an integer" : "a number"} from ${min} to ${max}`);
    }
    return value;
  }

  /** A duration such as 30s, in milliseconds. */
  duration(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const ms = durationMs(text);
    if (ms === undefined || ms <= 0) throw this.wrong(name, "a duration such as 500ms, 30s, 10m, 2h or 3d");
    return ms;
  }

  /** The error that an option's value is not what is allowed. */
  wrong(name: string, allowed: string): WrongUsage {
    return new WrongUsage(this.#command, `--${name} is ${JSON.stringify(this.text(name))}; allowed: ${allowed}`);
  }
}

/** Parses what follows the command's name. Throws `WrongUsage` with the nearest name for a mistyped option. */
export function parseArguments(command: Command, args: readonly string[]): Arguments {
  const options = [...command.options, ...COMMON_OPTIONS];
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      options.map((option) => [
        option.name,
        {
          type: option.value === undefined ? "boolean" : "string",
          ...(option.short === undefined ? {} : { short: option.short }),
        },
      ]),
    ),
  });
  const values = new Map<string, string | true>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const option = options.find((each) => each.name === token.name);
    if (option === undefined) {
      throw new WrongUsage(command.name, unknownOption(command, { given: token.rawName, options }));
    }
    values.set(option.name, checkedValue(command, option, token.value));
  }
  if (values.has("help")) return new Arguments(command.name, { values, operands });
  if (operands.length < command.operandsMin) {
    const missing = command.operands.split(" ").slice(operands.length).join(" ");
    throw new WrongUsage(command.name, `${missing} is missing`);
  }
  const surplus = operands[command.operandsMax];
  if (surplus !== undefined) {
    throw new WrongUsage(command.name, `${JSON.stringify(surplus)} is one argument too many`);
  }
  return new Arguments(command.name, { values, operands });
}

function checkedValue(command: Command, option: Option, value: string | undefined): string | true {
  if (option.value === undefined) {
    if (value !== undefined) {
      throw new WrongUsage(command.name, `--${option.name} takes no value, and ${JSON.stringify(value)} was given`);
    }
    return true;
  }
  // "--data --json" forgot a value; "--data=--json" would mean it.
  if (value === undefined || value === "" || (value.startsWith("--") && value.length > 2)) {
    throw new WrongUsage(command.name, `--${option.name} needs a value: --${option.name} ${option.value}`);
  }
  return value;
}

function unknownOption(command: Command, of: { readonly given: string; readonly options: readonly Option[] }): string {
  const nearest = nearestName(
    of.given.replace(/^-+/, ""),
    of.options.map((option) => option.name),
  );
  return `${command.name} has no option ${of.given}${nearest === undefined ? "" : `; did you mean --${nearest}?`}`;
}

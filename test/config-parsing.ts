import { type RegionConfigInput } from "../regions/config.ts";
import { BadConfig, parseConfig, type RegionConfig } from "../regions/read-config.ts";

/** The least that a config file says. */
export const LEAST = {
  region: "frankfurt",
  training: "frankfurt",
  models: [{ name: "clicks" }],
} satisfies RegionConfigInput;

/** A config file's object or text, parsed. */
export function parse(config: object | string): RegionConfig {
  const text = typeof config === "string" ? config : JSON.stringify(config, undefined, 2);
  return parseConfig(text, { file: "x.jsonc", folder: "/etc/freshet", env: { XDG_STATE_HOME: "/state" } });
}

/** One line for each problem of a config that is refused; throws when it is taken. */
export function problemsOf(config: object | string): string[] {
  try {
    parse(config);
  } catch (error) {
    if (error instanceof BadConfig) {
      return error.message
        .split("\n")
        .slice(1)
        .map((line) => line.trim());
    }
    throw error;
  }
  throw new Error("this config is taken");
}

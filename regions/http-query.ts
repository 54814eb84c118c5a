import { EVENT_LIMITS, type EventProblem, FEATURE_RULE, featureText, isId } from "../protocols/feedback.ts";
import { HttpRefusal } from "./http-errors.ts";
import { HTTP_LIMITS } from "./http-ports.ts";
import { nearestName } from "./nearest-name.ts";

/** What `GET /v1/recommendations` was asked for. */
export interface RecommendationQuery {
  readonly user: string;
  readonly k: number;
  readonly model: string;
  readonly features: Readonly<Record<string, string>>;
  readonly dense: Readonly<Record<string, number>>;
  /** Whether what is shown is recorded, so that clicks on it can be learned from. */
  readonly impressions: boolean;
}

const FIELDS = ["user", "k", "model", "impressions"];

/** Reads the query of a recommendation request; lists all that is wrong with it. */
export function parseQuery(search: URLSearchParams, models: readonly string[]): RecommendationQuery {
  const problems: EventProblem[] = [];
  const once = new Map<string, string>();
  const features = new Map<string, string[]>();
  const dense = new Map<string, number>();
  if (search.size > HTTP_LIMITS.queryFieldsMax) {
    throw new HttpRefusal(400, "bad-query", `A query may have ${HTTP_LIMITS.queryFieldsMax} fields`);
  }
  for (const [name, text] of search) {
    const listed = features.get(name.slice("feature.".length));
    if (listed !== undefined && name.startsWith("feature.")) {
      listed.push(text);
      continue;
    }
    if (once.has(name)) {
      problems.push(problem(name, text, "each field once, but for those of a list, feature.NAME"));
      continue;
    }
    once.set(name, text);
    const [, kind, feature = ""] = /^(feature|dense)\.(.*)$/s.exec(name) ?? [];
    if (kind === undefined) {
      if (!FIELDS.includes(name)) problems.push(problem(name, text, unknownField(name)));
    } else if (!isFeatureName(feature)) {
      problems.push(problem(name, text, `a name of 1 to ${EVENT_LIMITS.featureCharsMax} characters after "${kind}."`));
    } else if (kind === "feature") {
      features.set(feature, [text]);
    } else {
      const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
      if (!Number.isFinite(Math.fround(number))) problems.push(problem(name, text, "a finite 32-bit number"));
      dense.set(feature, number);
    }
  }
  const texts = new Map<string, string>();
  for (const [name, values] of features) {
    const [first = ""] = values;
    const text = featureText(values.length === 1 ? first : values);
    if (text === undefined) problems.push(problem(`feature.${name}`, values.join(","), FEATURE_RULE));
    else texts.set(name, text);
  }
  if (features.size > EVENT_LIMITS.featuresMax || dense.size > EVENT_LIMITS.featuresMax) {
    problems.push(
      problem(
        "feature",
        String(Math.max(features.size, dense.size)),
        `at most ${EVENT_LIMITS.featuresMax} features of a kind`,
      ),
    );
  }
  const user = once.get("user") ?? "";
  if (!isId(user)) {
    problems.push(
      problem(
        "user",
        once.get("user"),
        `a text of 1 to ${EVENT_LIMITS.idCharsMax} characters without control characters`,
      ),
    );
  }
  const kText = once.get("k") ?? String(HTTP_LIMITS.kDefault);
  const k = /^\d{1,3}$/.test(kText) ? Number(kText) : 0;
  if (k < 1 || k > HTTP_LIMITS.kMax) problems.push(problem("k", kText, `an integer from 1 to ${HTTP_LIMITS.kMax}`));
  const impressions = once.get("impressions") ?? "record";
  if (impressions !== "record" && impressions !== "none") {
    problems.push(problem("impressions", impressions, '"record" or "none"'));
  }
  if (problems.length > 0) {
    throw new HttpRefusal(400, "bad-query", "The query is not what it should be", {
      problems: problems.slice(0, HTTP_LIMITS.problemsMax),
    });
  }

  const model = once.get("model") ?? models[0];
  if (model === undefined || !models.includes(model)) {
    throw new HttpRefusal(
      404,
      "unknown-model",
      `There is no model ${JSON.stringify((model ?? "").slice(0, 80))} here; there is: ${models.join(", ")}`,
    );
  }
  return {
    user,
    k,
    model,
    features: Object.fromEntries(texts),
    dense: Object.fromEntries(dense),
    impressions: impressions === "record",
  };
}

function unknownField(name: string): string {
  const nearest = nearestName(name, FIELDS);
  return `${nearest === undefined ? "" : `"${nearest}"? There are `}${FIELDS.join(", ")}, feature.NAME, dense.NAME`;
}

function isFeatureName(name: string): boolean {
  return isId(name) && name.length <= EVENT_LIMITS.featureCharsMax && name !== "__proto__";
}

function problem(path: string, given: string | undefined, allowed: string): EventProblem {
  return {
    path: path.slice(0, 80),
    given: given === undefined ? "nothing" : JSON.stringify(given.slice(0, 80)),
    allowed,
  };
}

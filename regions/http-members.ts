import { isToken } from "../protocols/subjects.ts";
import { type MembersReply, type TrainingReply } from "../actors/state-manager-protocol.ts";
import { HttpRefusal } from "./http-errors.ts";
import { checkType, parseJson, readBody } from "./http-events.ts";
import { HTTP_LIMITS, type HttpPorts } from "./http-ports.ts";

/** Takes the body of `POST /v1/members/add` or `retire`. Resolves with the members once the region log has the change. */
export async function changeMember(
  request: Request,
  { act, ports }: { readonly act: "add" | "retire"; readonly ports: HttpPorts },
): Promise<MembersReply> {
  const fields = await readFields(request);
  const [region, node] = [fields.get("region"), fields.get("node")];
  if (
    fields.size !== 2 ||
    typeof region !== "string" ||
    typeof node !== "string" ||
    !isToken(region) ||
    !isToken(node)
  ) {
    throw new HttpRefusal(400, "bad-member", "Send {region, node}: the names of a region and of one of its nodes");
  }
  const signal = AbortSignal.timeout(HTTP_LIMITS.memberWithinMs);
  const outcome = await ports.changeMember({ act, region, node }, { signal });
  if (!("refused" in outcome)) return outcome;
  throw new HttpRefusal(409, "not-changed", `The members stay as they are: ${outcome.refused}`);
}

/** Takes the body of `POST /v1/promote`. Resolves once the region log has it: the region takes over when it holds all. */
export async function promote(request: Request, ports: HttpPorts): Promise<TrainingReply> {
  const fields = await readFields(request);
  const [region, force = false] = [fields.get("region"), fields.get("force")];
  const isKnown = fields.size === (fields.has("force") ? 2 : 1);
  if (!isKnown || typeof region !== "string" || !isToken(region) || typeof force !== "boolean") {
    throw new HttpRefusal(
      400,
      "bad-region",
      "Send {region}, the name of the region that is to train, and at most {force: true} with it",
    );
  }
  const outcome = await ports.promote({ region, force }, { signal: AbortSignal.timeout(HTTP_LIMITS.memberWithinMs) });
  if (!("refused" in outcome)) return outcome;
  throw new HttpRefusal(409, "not-promoted", `Training stays where it is: ${outcome.refused}`);
}

/** The fields of an object in JSON; none of anything else. */
async function readFields(request: Request): Promise<ReadonlyMap<string, unknown>> {
  checkType(request.headers);
  const given = parseJson(await readBody(request, HTTP_LIMITS.memberBytesMax));
  return new Map(typeof given === "object" && given !== null ? Object.entries(given) : []);
}

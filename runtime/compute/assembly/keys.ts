// From texts to the distinct keys of a batch. Addresses and counts are numbers; no address need be aligned.
export { chooseTexts, clearSet, splitKeys } from "./keys/plan";

/** Node System for TypeScript; runs in Node and in browsers. */

export { distributorAbi, licenseAbi, registryAbi } from './chain/abi.js';
export { type AuditOptions, auditProject, NothingPosted, WrongChain } from './chain/audit.js';
export { Chain, ChainError } from './chain/chain.js';
export { projectInfo, UnknownProject } from './chain/history.js';
export { accumulate, type Allocation, allocate, AmountError, type Budget, type Share } from './day/allocation.js';
export {
  type BuiltDay, buildDay, commitOf, dayFiles, type DayInput, DayError, FIRST_DAY, type LicenseDay, type PreviousDay,
  uptimeLeaf,
} from './day/build.js';
export { type DayFacts, type Fact, known, type PostedCommit, type Token, tokenKey, unknown } from './day/facts.js';
export { Holders, type LicenseEvent } from './day/holders.js';
export { memoryPlace, type Parts, type Place, Places, type PlacesOptions } from './day/places.js';
export {
  type AuditReport, CHECKS, type CheckName, type CheckReport, type DayReport, type Doubt, doubtText, type Finding,
  findingText, type PassedOver, reportText, type Verdict,
} from './day/report.js';
export { countsTasks, pointsWith, possiblePoints, type Rule, rule, ruleProblem, tasksIn } from './day/rule.js';
export { type Proof, proof, proofHolds, RewardTree, rootOf, type StandardDump, TreeError } from './day/tree.js';
export { type DayOutcome, verifyDay } from './day/verify.js';
export { type Bitmap, bitmap, bitmapText, countMinutes, fromMinuteOn, hasMinute, ratioPpm, runsOf }
  from './formats/bitmap.js';
export {
  type Bundle, BUNDLE_JSON, type ClosedUptime, COMMIT_JSON, type Format, FORMAT_1, FORMAT_2, parseBundle, type ProjectInfo,
  type Snapshot, type Terms, terms, termsHash, TREE_JSON, UnknownFormat, writeBundle,
} from './formats/bundle.js';
export { canonicalJson } from './formats/json.js';
export { type Difference, parseTable, TableError, TableReader, writeTable } from './formats/reader.js';
export {
  type HolderRow, HOLDERS, POINTS, type PointsRow, type RewardRow, REWARDS, type Table, type Uncounted, UNCOUNTED,
  UNCOUNTED_WORDS, type UncountedRow, UPTIME, type UptimeRow,
} from './formats/tables.js';
export { keccak256, KeccakStream } from './keccak.js';
export {
  type Claim, digest, type Domain, domainOf, IN_DISTRIBUTOR_DOMAIN, licenseHash, type Message, type MessageName,
  type RewardCommit, structHash, toWire, type TypedData, typedData, TYPES,
} from './messages.js';
export { type Address, dayOf, epochOf, type Hash, type Hex, ParseError } from './parse.js';
export { signature, signerOf } from './signature.js';
export { claimAll, type ClaimAllOptions, type ClaimedAll } from './claims/all.js';
export {
  type Claimable, type ClaimBlock, claimCall, claimMessage, claimRequest, type ClaimState, claimState, claimTypedData,
  signedClaimRequest, type SignedClaimTerms,
} from './claims/claims.js';
export { findClaim, NoFiles } from './claims/find.js';
export { Backend } from './api/client.js';
export { Reads } from './api/reads.js';
export { ApiProblem, BadAnswer, type HttpOptions, NoAnswer, type Problem } from './api/http.js';
export { httpPlace, type HttpPlaceOptions } from './api/place.js';
export type {
  CommitView, DayView, LeaseView, LicenseDay as LicenseDayView, LicenseId, LicenseView, Network, NodeView,
  PointsChecked, ProjectRow, ProofView, RewardView,
} from './api/views.js';
export { auditIn, type AuditJob, type PlaceName, type Port, workerPort } from './worker/port.js';

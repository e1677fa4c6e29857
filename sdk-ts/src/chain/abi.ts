/** What this package calls and reads of the contracts, by name; a test holds it against their ABI. */

import { parseAbi } from 'viem';

export const distributorAbi = parseAbi([
  'struct RewardCommit { uint64 epoch; uint32 revision; bytes32 previous; bytes32 root; uint256 total; bytes32 dataHash; }',
  'struct Claim { address account; bytes32 root; uint256 cumulative; address recipient; address relayer; uint256 relayerFee; uint64 deadline; }',
  'struct Entry { uint64 activatesAt; uint64 epoch; uint128 total; }',
  'struct Head { bytes32 commitHash; uint64 epoch; uint128 total; uint32 revision; uint64 activatesAt; }',
  'event Posted(uint64 indexed epoch, bytes32 indexed root, bytes32 indexed commitHash, uint32 revision, bytes32 previous, uint256 total, bytes32 dataHash, uint64 activatesAt)',
  'event Revoked(uint64 indexed epoch, bytes32 indexed root, bytes32 indexed commitHash, bool rootRemoved)',
  'event Claimed(address indexed account, bytes32 indexed root, address recipient, uint256 amount)',
  'event HeadRewound(address indexed caller, bytes32 indexed commitHash, uint64 epoch, uint256 total, uint64 activatesAt, uint32 revision)',
  'event SignerDisabled(address indexed caller, address indexed signer, uint32 revision)',
  'event SignerSet(address indexed previousSigner, address indexed newSigner, uint32 revision)',
  'event QuotaLowered(uint128 previousQuota, uint128 newQuota, uint64 fromDay)',
  'event QuotaRaised(uint128 previousQuota, uint128 newQuota)',
  'error UnknownRoot(bytes32 root)',
  'error RootNotActive(bytes32 root, uint256 activatesAt, uint256 activeUntil)',
  'error InvalidProof(bytes32 root, address account, uint256 cumulative)',
  'error NothingToClaim(address account, uint256 cumulative, uint256 claimed)',
  'error ActiveTotalExceeded(uint256 amount, uint256 available)',
  'error ClaimExpired(uint64 deadline, uint256 timestamp)',
  'error WrongRelayer(address caller, address relayer)',
  'error RelayerFeeTooHigh(uint256 relayerFee, uint256 amount)',
  'error InvalidSignature(address signer, bytes32 digest)',
  'error InvalidRecipient(address recipient)',
  'function head() view returns (Head)',
  'function commitOf(bytes32 root) view returns (Entry)',
  'function isActive(bytes32 root) view returns (bool)',
  'function claimed(address account) view returns (uint256)',
  'function claimable(address account, bytes32 root, uint256 cumulative, bytes32[] proof) view returns (uint256 amount)',
  'function paid() view returns (uint256)',
  'function dailyQuota() view returns (uint128)',
  'function signer() view returns (address)',
  'function token() view returns (address)',
  'function hashClaim(Claim signedClaim) view returns (bytes32 digest)',
  'function post(RewardCommit commit, bytes signature)',
  'function claim(bytes32 root, uint256 cumulative, bytes32[] proof, address recipient) returns (uint256 amount)',
  'function claimWithSignature(Claim signedClaim, bytes32[] proof, bytes signature) returns (uint256 amount)',
]);

export const registryAbi = parseAbi([
  'struct Project { address owner; address pendingOwner; string name; string metadataURI; }',
  'event ProjectCreated(address indexed project, address indexed owner, string name, address token, address signer, address guardian, uint128 dailyQuota, uint64 delay, string metadataURI)',
  'struct Listing { address project; uint48 fromDay; uint48 untilDay; string workload; }',
  'event CollectionListed(address indexed project, address indexed collection, string workload, uint64 fromDay)',
  'event CollectionDelisted(address indexed project, address indexed collection, uint64 untilDay)',
  'function projectOf(address project) view returns (Project)',
  'function projectByName(string name) view returns (address project)',
  'function listingOf(address collection) view returns (Listing)',
  'function receiptKeyOf(address project, address key) view returns (uint64 validFrom, uint64 validUntil)',
  'function ownReceiptKeysFrom(address project) view returns (uint64)',
]);

export const licenseAbi = parseAbi([
  'event Transfer(address indexed from, address indexed to, uint256 indexed tokenId)',
  'event UpdateUser(uint256 indexed tokenId, address indexed user, uint64 expires)',
  'function ownerOf(uint256 tokenId) view returns (address)',
  'function userOf(uint256 tokenId) view returns (address)',
  'function userExpires(uint256 tokenId) view returns (uint256)',
]);

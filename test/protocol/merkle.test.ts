import assert from 'node:assert/strict';
import { inclusionProof, merkleRoot, verifyInclusion } from '../../protocol/merkle.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** The test entries of the Certificate Transparency implementations, and the roots of their first n. */
const ENTRIES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((text) => new Uint8Array(Buffer.from(text, 'hex')));
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

describe('Merkle tree', () => {
  it('has the roots of the Certificate Transparency vectors', () => {
    ROOTS.forEach((root, size) => assert.equal(hex(merkleRoot(ENTRIES.slice(0, size))), root, `${size} entries`));
  });

  it('proves every entry of every size up to 64, and proves no other', () => {
    for (let size = 1; size <= 64; size++) {
      const entries = Array.from({ length: size }, (_, i) => Uint8Array.of(i));
      const root = merkleRoot(entries);
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(entries, index);
        const claim = { index, size, proof, root };
        assert.ok(verifyInclusion(entries[index]!, claim), `${index} of ${size}`);
        assert.ok(!verifyInclusion(Uint8Array.of(200), claim), 'another entry');
        assert.ok(!verifyInclusion(entries[index]!, { ...claim, index: index + size }), 'beyond the end');
        assert.ok(!verifyInclusion(entries[index]!, { ...claim, proof: [...proof, root] }), 'a longer proof');
        if (size > 1) {
          assert.ok(!verifyInclusion(entries[index]!, { ...claim, index: (index + 1) % size }), 'another place');
          assert.ok(!verifyInclusion(entries[index]!, { ...claim, proof: proof.slice(1) }), 'a shorter proof');
          const tampered = proof.map((node) => Uint8Array.from(node));
          tampered[0]![0]! ^= 1;
          assert.ok(!verifyInclusion(entries[index]!, { ...claim, proof: tampered }), 'a changed proof');
        }
      }
    }
  });

  it('has no proof for an entry that is not there', () => {
    assert.throws(() => inclusionProof(ENTRIES, ENTRIES.length), RangeError);
    assert.throws(() => inclusionProof([], 0), RangeError);
  });
});

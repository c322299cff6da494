// Properties of characters that regular expressions cannot name, as parts of character classes, all of Unicode 15: what
// it did not assign yet, canonical combining class 9 (virama), and how letters join their neighbours. Only passwords
// want them.

function classOf(ranges: string): string {
  return ranges.replace(/[0-9a-f]+/g, '\\u{$&}').replace(/\s+/g, '');
}

/** Conjoining letters of old Hangul (RFC 8264 §9.9), and what RFC 8264 §9.6 refuses one by one. */
export const EXCEPTIONS = classOf('1100-11ff a960-a97c d7b0-d7fb 640 7fa 302e 302f 3031-3035 303b');

/**
 * Assigned by Unicode 15.1 to 17. Go's tables are those of 15; a password that one program makes and another refuses
 * would lock people out, so that these are refused until all have them.
 */
export const ASSIGNED_LATER =
  classOf(`88f 897 c5c cdc 1acf-1add 1ae0-1aeb 1b4e-1b4f 1b7f 1c89-1c8a 20c1 2427-2429 2b96 2ffc-2fff 31e4-31e5 31ef
  a7cb-a7cf a7d2 a7d4 a7da-a7dc a7f1 fbc3-fbd2 fd90-fd91 fdc8-fdce 105c0-105f3 10940-10959 10d40-10d65 10d69-10d85
  10d8e-10d8f 10ec2-10ec7 10ed0-10ed8 10efa-10efc 11380-11389 1138b 1138e 11390-113b5 113b7-113c0 113c2 113c5
  113c7-113ca 113cc-113d5 113d7-113d8 113e1-113e2 116d0-116e3 11b60-11b67 11bc0-11be1 11bf0-11bf9 11db0-11ddb
  11de0-11de9 11f5a 13460-143fa 16100-16139 16d40-16d79 16ea0-16eb8 16ebb-16ed3 16ff2-16ff6 187f8-187ff 18cff
  18d09-18d1e 18d80-18df2 1cc00-1ccfc 1cd00-1ceb3 1ceba-1ced0 1cee0-1cef0 1e5d0-1e5fa 1e5ff 1e6c0-1e6de
  1e6e0-1e6f5 1e6fe-1e6ff 1f6d8 1f777-1f77a 1f8b2-1f8bb 1f8c0-1f8c1 1f8d0-1f8d8 1fa54-1fa57 1fa89-1fa8a
  1fa8e-1fa8f 1fabe 1fac6 1fac8 1facd 1fadc 1fadf 1fae9-1faea 1faef 1fbcb-1fbef 1fbfa 2b73a-2b73f 2cea2-2cead
  2ebf0-2ee5d 323b0-33479`);

/** Canonical combining class 9. */
export const VIRAMA = classOf(`94d 9cd a4d acd b4d bcd c4d ccd d3b-d3c d4d dca e3a eba f84 1039-103a 1714-1715 1734 17d2
  1a60 1b44 1baa-1bab 1bf2-1bf3 2d7f a806 a82c a8c4 a953 a9c0 aaf6 abed 10a3f 11046 11070 1107f 110b9 11133-11134 111c0
  11235 112ea 1134d 11442 114c2 115bf 1163f 116b6 1172b 11839 1193d-1193e 119e0 11a34 11a47 11a99 11c3f 11d44-11d45
  11d97 11f41-11f42`);

const DUAL = `620 626 628 62a-62e 633-63f 641-647 649-64a 66e-66f 678-687 69a-6bf 6c1-6c2 6cc 6ce 6d0-6d1 6fa-6fc 6ff
  712-714 71a-71d 71f-727 729 72b 72d-72e 74e-758 75c-76a 76d-770 772 775-777 77a-77f 7ca-7ea 841-845 848 84a-853 855
  860 862-865 868 886 889-88d 8a0-8a9 8af-8b0 8b3-8b8 8ba-8c8 1807 1820-1878 1887-18a8 18aa a840-a871 10ac0-10ac4
  10ad3-10ad6 10ad8-10adc 10ade-10ae0 10aeb-10aee 10b80 10b82 10b86-10b88 10b8a-10b8b 10b8d 10b90 10bad-10bae
  10d01-10d21 10d23 10f30-10f32 10f34-10f44 10f51-10f53 10f70-10f73 10f76-10f81 10fb0 10fb2-10fb3 10fb8 10fbb-10fbc
  10fbe-10fbf 10fc1 10fc4 10fca 1e900-1e943`;

/** Letters that join the one before them: joining type R or D. */
export const JOINS_BEFORE = classOf(`${DUAL} 622-625 627 629 62f-632 648 671-673 675-677 688-699 6c0 6c3-6cb 6cd 6cf
  6d2-6d3 6d5 6ee-6ef 710 715-719 71e 728 72a 72c 72f 74d 759-75b 76b-76c 771 773-774 778-779 840 846-847 849 854
  856-858 867 869-86a 870-882 88e 8aa-8ac 8ae 8b1-8b2 8b9 10ac5 10ac7 10ac9-10aca 10ace-10ad2 10add 10ae1 10ae4 10aef
  10b81 10b83-10b85 10b89 10b8c 10b8e-10b8f 10b91 10ba9-10bac 10d22 10f33 10f54 10f74-10f75 10fb4-10fb6 10fb9-10fba
  10fbd 10fc2-10fc3 10fc9`);

/** Letters that join the one after them: joining type L or D. */
export const JOINS_AFTER = classOf(`${DUAL} a872 10acd 10ad7 10d00 10fcb`);

/** What stands between letters without parting them: joining type T, of the characters that passwords may hold. */
export const TRANSPARENT = `\\p{Mn}\\p{Me}\\u{1171e}\\u{1e94b}`;

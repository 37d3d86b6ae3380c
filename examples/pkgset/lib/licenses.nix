# Licenses by the names under which packages refer to them.
{ lib }:
let
  fill =
    name: license:
    {
      shortName = name;
      free = true;
      deprecated = false;
    }
    // lib.optionalAttrs (license ? spdxId) {
      url = "https://spdx.org/licenses/${license.spdxId}.html";
    }
    // license
    // {
      redistributable = license.redistributable or license.free or true;
    };
in
builtins.mapAttrs fill {
  agpl3Only = {
    spdxId = "AGPL-3.0-only";
    fullName = "GNU Affero General Public License v3.0 only";
  };
  asl20 = {
    spdxId = "Apache-2.0";
    fullName = "Apache License 2.0";
  };
  bsd2 = {
    spdxId = "BSD-2-Clause";
    fullName = "BSD 2-clause license";
  };
  bsd3 = {
    spdxId = "BSD-3-Clause";
    fullName = "BSD 3-clause license";
  };
  cc0 = {
    spdxId = "CC0-1.0";
    fullName = "Creative Commons Zero v1.0 Universal";
  };
  curl = {
    spdxId = "curl";
    fullName = "curl License";
  };
  gpl2Plus = {
    spdxId = "GPL-2.0-or-later";
    fullName = "GNU General Public License v2.0 or later";
  };
  gpl3Only = {
    spdxId = "GPL-3.0-only";
    fullName = "GNU General Public License v3.0 only";
  };
  gpl3Plus = {
    spdxId = "GPL-3.0-or-later";
    fullName = "GNU General Public License v3.0 or later";
  };
  isc = {
    spdxId = "ISC";
    fullName = "ISC License";
  };
  lgpl21Plus = {
    spdxId = "LGPL-2.1-or-later";
    fullName = "GNU Lesser General Public License v2.1 or later";
  };
  mit = {
    spdxId = "MIT";
    fullName = "MIT License";
  };
  mpl20 = {
    spdxId = "MPL-2.0";
    fullName = "Mozilla Public License 2.0";
  };
  publicDomain = {
    fullName = "Public Domain";
  };
  unfree = {
    fullName = "Unfree";
    free = false;
  };
  unfreeRedistributable = {
    fullName = "Unfree redistributable";
    free = false;
    redistributable = true;
  };
  zlib = {
    spdxId = "Zlib";
    fullName = "zlib License";
  };
}

# What examples/ must evaluate to: each attribute is a case, and pkgset.json holds the answers of C++ Nix
# (scripts/freeze-pkgset writes it).
let
  root = toString ../..;

  nixpkgs = import ../../examples/pkgset;
  pkgs = nixpkgs { system = "x86_64-linux"; };
  inherit (pkgs) lib;

  project = import ../../examples/workspace { inherit pkgs; };
  extended = pkgs.extend (import ../../examples/workspace/overlay.nix);

  nixos = import ../../examples/pkgset/nixos {
    system = "x86_64-linux";
    configuration = ../../examples/workspace/configuration.nix;
  };

  # Positions and paths, free of where the checkout lies.
  relative = file: lib.removePrefix "${root}/" (toString file);
  where =
    name: set:
    let
      found = builtins.unsafeGetAttrPos name set;
    in
    if found == null then null else "${relative found.file}:${toString found.line}:${toString found.column}";

  evaluates = value: (builtins.tryEval value).success;

  # The derivations of a set whose paths may be asked for.
  drvPaths =
    set:
    let
      one = name: builtins.tryEval (if lib.isDerivation set.${name} then set.${name}.drvPath else throw "no derivation");
      found = lib.genAttrs (builtins.attrNames set) one;
    in
    lib.mapAttrs (_: answer: answer.value) (lib.filterAttrs (_: answer: answer.success) found);

  outputsOf = package: lib.genAttrs package.outputs (name: package.${name}.outPath);
in
{
  packages = drvPaths pkgs;
  pythonPackages = drvPaths pkgs.python3Packages;
  python311Packages = drvPaths pkgs.python311Packages;
  otherSystem = drvPaths (nixpkgs { system = "aarch64-linux"; });
  darwin = drvPaths (nixpkgs { system = "aarch64-darwin"; });
  static = drvPaths {
    inherit (pkgs.pkgsStatic)
      hello
      zlib
      curl
      jq
      ;
  };
  everythingAllowed = drvPaths (nixpkgs {
    system = "x86_64-linux";
    config = {
      allowUnfree = true;
      allowBroken = true;
      permittedInsecurePackages = [ "openssl-1.1.1w" ];
      packageOverrides = super: { hello = super.hello.overrideAttrs { pname = "hullo"; }; };
    };
  });

  outputs = {
    hello = outputsOf pkgs.hello;
    zlib = outputsOf pkgs.zlib;
    openssl = outputsOf pkgs.openssl;
    curlMinimal = outputsOf pkgs.curlMinimal;
    source = pkgs.hello.src.outPath;
    folder = pkgs.greet.src;
  };

  overriding = {
    override = (pkgs.greet.override { who = "everybody"; }).drvPath;
    overrideByFunction = (pkgs.greet.override (old: { figlet = old.figlet // { outPath = "/nowhere"; }; })).drvPath;
    overrideAttrs = (pkgs.hello.overrideAttrs (old: { version = old.version + "a"; })).drvPath;
    overrideTwice =
      ((pkgs.jq.override { onigurumaSupport = false; }).overrideAttrs { doCheck = true; }).drvPath;
    finalAttrs =
      let
        changed = pkgs.hello.overrideAttrs (final: prev: { version = "9.9"; });
      in
      {
        inherit (changed) name;
        inherit (changed.src) urls;
        test = changed.passthru.tests.version.name;
      };
    overlay = {
      inherit (extended.figlet) name;
      inherit (extended.greet) drvPath;
    };
    composed = ((pkgs.extend (_: _: { zlib = pkgs.hello; })).appendOverlays [ (_: prev: { hello = prev.zlib; }) ]).hello.drvPath;
    scope = (pkgs.python3Packages.overrideScope (final: prev: { click = final.jinja2; })).flask.drvPath;
    extraInput = (pkgs.hello.overrideDerivation (_: { extra = pkgs.zlib; })).drvPath;
  };

  trivialBuilders = drvPaths {
    script = pkgs.writeShellApplication {
      name = "deploy";
      runtimeInputs = [
        pkgs.curl
        pkgs.jq
      ];
      text = "curl https://example.org | jq .";
    };
    join = pkgs.symlinkJoin {
      name = "tools";
      paths = [
        pkgs.hello
        pkgs.zlib.dev
      ];
    };
    farm = pkgs.linkFarm "farm" [
      {
        name = "hello";
        path = pkgs.hello;
      }
      {
        name = "it's";
        path = ./pkgset.nix;
      }
    ];
    environment = pkgs.python3.withPackages (ps: [ ps.flask ]);
    shell = pkgs.mkShell {
      inputsFrom = [ pkgs.greet ];
      packages = [ pkgs.figlet ];
      shellHook = "echo hi";
    };
  };

  meta = {
    hello = removeAttrs pkgs.hello.meta [ "position" ];
    licenses = lib.mapAttrs (_: license: license.spdxId or license.fullName) lib.licenses;
    greet = map (license: license.shortName) pkgs.greet.meta.license;
    unfreeIsAvailable = pkgs.blobware.meta.available;
    unfreeName = pkgs.blobware.name;
    exe = builtins.unsafeDiscardStringContext (lib.getExe pkgs.sqlite);
  };

  refused = lib.mapAttrs (_: package: evaluates package.drvPath) {
    inherit (pkgs)
      hello
      blobware
      relic
      openssl_1_1
      ;
  };

  contexts = lib.mapAttrs (_: builtins.getContext) {
    hello = "${pkgs.hello}";
    output = "${pkgs.zlib.dev}/include";
    drv = pkgs.hello.drvPath;
    both = "${pkgs.curl.bin} ${pkgs.hello.src}";
    path = "${../../examples/workspace/pkgs/frobnicate/src}";
    none = builtins.unsafeDiscardStringContext "${pkgs.hello}";
  };

  # Not of what `inherit` or mapAttrs has made: Nix 2.8 is vague there, later ones and we are not.
  positions = {
    allPackages = where "curl" pkgs;
    overlay = where "frobnicate" extended;
    formal = where "fetchurl" (lib.functionArgs (import ../../examples/pkgset/pkgs/by-name/he/hello/package.nix));
    scope = where "flask" pkgs.python3Packages;
    merged = where "zlib" (pkgs // { zlib = 1; });
    attribute = where "mainProgram" pkgs.hello.meta;
    meta = relative pkgs.hello.meta.position;
  };

  library = {
    attrByPath = lib.attrByPath [ "a" "b" ] 6 { a.b = 3; };
    hasAttrByPath = lib.hasAttrByPath [ "a" "c" ] { a.b = 3; };
    recursiveUpdate = lib.recursiveUpdate {
      a.b = 1;
      a.c = 2;
    } { a.b = 3; };
    mapAttrsRecursive = lib.mapAttrsRecursive (path: value: "${lib.showOption path}=${toString value}") {
      a.b = 1;
      "c d" = 2;
    };
    strings = [
      (lib.splitString "." "a.b..c")
      (lib.trim "  a b\n")
      (lib.toUpper "straße")
      (lib.escapeShellArgs [ "a b" "it's" "-x" 3 ])
      (lib.removeSuffix ".nix" "default.nix")
      (lib.hasInfix "[" "a[b")
    ];
    numbers = map lib.toInt [
      "007"
      " -12 "
    ];
    lists = [
      (lib.unique [ 1 2 1 3 2 ])
      (lib.foldr (a: b: "${a}(${b})") "" [ "a" "b" "c" ])
      (lib.flatten [ 1 [ 2 [ 3 ] ] [ ] ])
      (lib.take 2 (lib.drop 1 [ 1 2 3 4 ]))
      (lib.sortOn lib.stringLength [ "ccc" "a" "bb" ])
    ];
    versions = [
      (lib.versionOlder "1.9" "1.10")
      (lib.versionAtLeast "2.0pre1" "2.0")
      (lib.versions.majorMinor "3.12.5")
      (lib.getVersion "hello-2.12.3")
      (lib.getName pkgs.python3Packages.flask)
    ];
    platforms = lib.platforms.unix;
    elaborated = removeAttrs (lib.systems.elaborate "aarch64-darwin") [ "parsed" ];
    extended = (lib.extend (final: prev: { answer = 42; twice = final.answer * 2; })).twice;
  };

  modules = {
    inherit (nixos.config.networking) hostName;
    inherit (nixos.config.environment) variables;
    passwd = builtins.unsafeDiscardStringContext nixos.config.environment.etc.passwd.text;
    knobs = nixos.config.services.frobnicate.knobs;
    unit = builtins.unsafeDiscardStringContext nixos.config.environment.etc."systemd/system/greeter.service".text;
    packages = map lib.getName nixos.config.environment.systemPackages;
    defined = nixos.options.environment.variables.isDefined;
    files = map relative nixos.options.environment.systemPackages.files;
    declared = map (pos: "${relative pos.file}:${toString pos.line}") nixos.options.users.users.declarationPositions;
    highestPrio = nixos.options.environment.variables.highestPrio;
    options = map (option: "${option.name}: ${option.type}") (lib.optionAttrSetToDocList nixos.options);
    system = nixos.system.drvPath;
    failing =
      let
        bad = import ../../examples/pkgset/nixos/lib/eval-config.nix {
          system = "x86_64-linux";
          modules = [
            {
              services.greeter.enable = true;
              services.greeter.port = 80;
            }
          ];
        };
      in
      evaluates bad.config.system.build.toplevel.drvPath;
  };

  workspace = {
    inherit (project) version;
    tools = map lib.getName project.tools;
    packages = drvPaths project;
    shell = (import ../../examples/workspace/shell.nix { inherit pkgs; }).drvPath;
    schema = lib.importJSON extended.frobnicate.schema;
  };
}

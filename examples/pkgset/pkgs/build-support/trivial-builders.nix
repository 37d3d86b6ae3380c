# Packages that are one command or one file. An overlay.
final: prev:
let
  inherit (final) lib stdenv stdenvNoCC;
in
{
  /**
    A derivation that runs a shell command, which must make `$out`.
  */
  runCommand = name: env: buildCommand: stdenvNoCC.mkDerivation ({ inherit name buildCommand; } // env);
  runCommandCC = name: env: buildCommand: stdenv.mkDerivation ({ inherit name buildCommand; } // env);

  /**
    A store path with this text in it, as a file or, with `destination`, as a file in a folder.
  */
  writeTextFile =
    {
      name,
      text,
      executable ? false,
      destination ? "",
      checkPhase ? "",
      meta ? { },
    }:
    final.runCommand name
      {
        inherit
          text
          executable
          checkPhase
          meta
          ;
        passAsFile = [ "text" ];
        preferLocalBuild = true;
        allowSubstitutes = false;
      }
      ''
        target=$out${lib.escapeShellArg destination}
        mkdir -p "$(dirname "$target")"
        mv "$textPath" "$target"
        if [ -n "$executable" ]; then chmod +x "$target"; fi
        eval "$checkPhase"
      '';

  writeText = name: text: final.writeTextFile { inherit name text; };

  writeShellScriptBin =
    name: text:
    final.writeTextFile {
      inherit name;
      executable = true;
      destination = "/bin/${name}";
      text = ''
        #!${final.bash}/bin/bash
        ${text}
      '';
      checkPhase = "${final.bash}/bin/bash -n \"$target\"";
      meta.mainProgram = name;
    };

  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
    }:
    final.writeShellScriptBin name ''
      set -euo pipefail
      ${lib.optionalString (runtimeInputs != [ ]) "export PATH=${lib.makeBinPath runtimeInputs}:$PATH"}
      ${text}
    '';

  # Several packages as one folder of links.
  symlinkJoin =
    {
      name,
      paths,
      postBuild ? "",
      meta ? { },
    }:
    final.runCommand name { inherit paths meta; } ''
      mkdir -p $out
      for path in $paths; do cp -rsf $path/. $out/; done
      ${postBuild}
    '';

  linkFarm =
    name: entries:
    final.runCommand name { } (
      "mkdir -p $out\n"
      + lib.concatMapStrings (entry: ''
        ln -s ${lib.escapeShellArg "${entry.path}"} $out/${lib.escapeShellArg entry.name}
      '') entries
    );
}

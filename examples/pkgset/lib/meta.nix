# What packages say about themselves.
{ lib }:
rec {
  addMetaAttrs =
    new: drv:
    if drv ? overrideAttrs then
      drv.overrideAttrs (old: {
        meta = old.meta or { } // new;
      })
    else
      drv // { meta = drv.meta or { } // new; };

  setPrio = priority: addMetaAttrs { inherit priority; };
  lowPrio = setPrio 10;
  hiPrio = setPrio (-10);

  /**
    The path of a package's main program.
  */
  getExe = package: getExe' package (package.meta.mainProgram or (lib.getName package));

  getExe' = package: program: "${lib.getBin package}/bin/${program}";

  # Whether a package says that it works on this platform.
  availableOn =
    platform: package:
    !(package.meta ? platforms) || builtins.elem platform.system package.meta.platforms;
}

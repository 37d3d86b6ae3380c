# Places that hold the same files: mirror://gnu/hello/… is any of these with hello/… behind it.
{
  gnu = [
    "https://ftp.gnu.example.org/gnu/"
    "https://mirror.example.net/gnu/"
  ];
  sourceforge = [
    "https://downloads.sourceforge.example.org/"
  ];
  pypi = [
    "https://files.pypi.example.org/source/"
  ];
}

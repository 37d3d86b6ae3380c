given

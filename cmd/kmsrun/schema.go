package main

import (
	"github.com/spf13/cobra"

	"github.com/kmsrun/kmsrun/config"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a declaration",
		Long: `Print the JSON Schema (draft 2020-12) of a declaration, for editors:

  # yaml-language-server: $schema=kmsrun.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Schema())
			return err
		},
	}
}
